from django.db import migrations

# A thread's row is updated by every append: room on its page keeps that a HOT update, which no index hears of. Vacuum
# comes at a fiftieth of dead rows, and at a hundredth of new ones, which keeps counts by index from looking at the heap.
# Both wait for no reader or writer (SHARE UPDATE EXCLUSIVE), and rewrite nothing.
VACUUM = "autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_insert_scale_factor = 0.01"
BACK = "autovacuum_vacuum_scale_factor, autovacuum_vacuum_insert_scale_factor"


class Migration(migrations.Migration):
    dependencies = [("threads", "0025_thread_list_indexes")]

    operations = [
        migrations.RunSQL(
            f"ALTER TABLE threads_thread SET (fillfactor = 85, {VACUUM})",
            f"ALTER TABLE threads_thread RESET (fillfactor, {BACK})",
        ),
        migrations.RunSQL(
            f"ALTER TABLE threads_message SET ({VACUUM})",
            f"ALTER TABLE threads_message RESET ({BACK})",
        ),
    ]
