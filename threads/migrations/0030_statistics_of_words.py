from django.db import migrations


class Migration(migrations.Migration):
    """How common each word is. PostgreSQL learned it from the index while that was of all messages; of a partial index it
    uses no statistics, takes every word for rare, and reads all that hold it. Known from the next ANALYZE on."""

    dependencies = [("threads", "0029_index_of_searchable_messages")]

    operations = [
        migrations.RunSQL(
            "CREATE STATISTICS message_words ON (to_tsvector('simple', left(content, 100000))) FROM threads_message",
            "DROP STATISTICS message_words",
        ),
    ]
