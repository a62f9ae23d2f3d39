from django.db import migrations, models

# As before (0017), but for what the database itself keeps beside a message: whether search knows it is nothing that
# was said.
CHANGED = """
CREATE FUNCTION threads_keep_held_message() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    said threads_message := NEW;
BEGIN
    said.searchable := OLD.searchable;
    IF said IS NOT DISTINCT FROM OLD THEN
        RETURN NEW;
    END IF;
    PERFORM pg_advisory_xact_lock_shared(hashtextextended('hold:' || OLD.workspace_id, 0));
    IF EXISTS (SELECT FROM threads_thread AS thread
                WHERE thread.id = OLD.thread_id AND thread.workspace_id = OLD.workspace_id
                  AND threads_covered_by_hold(thread.workspace_id, thread.id, thread.agent_id, thread.user_id,
                                              thread.external_ref)) THEN
        RAISE EXCEPTION 'a thread is on legal hold'
              USING ERRCODE = 'restrict_violation', CONSTRAINT = 'thread_held';
    END IF;
    RETURN NEW;
END $$
"""
TRIGGER = """
CREATE OR REPLACE TRIGGER message_held_changed BEFORE UPDATE ON threads_message
    FOR EACH ROW WHEN (OLD.* IS DISTINCT FROM NEW.*) EXECUTE FUNCTION {}()
"""


class Migration(migrations.Migration):
    """Whether search knows a message. The column has a constant for its default: no row is written for it."""

    dependencies = [("threads", "0027_deep_pages")]

    operations = [
        migrations.AddField(
            "message", "searchable", models.BooleanField(db_default=True, default=True, editable=False)
        ),
        migrations.RunSQL(CHANGED, "DROP FUNCTION threads_keep_held_message"),
        migrations.RunSQL(TRIGGER.format("threads_keep_held_message"), TRIGGER.format("threads_keep_held_content")),
    ]
