from django.db import migrations, models

WAITING = "CREATE INDEX CONCURRENTLY message_not_searchable ON threads_message (workspace_id, id) WHERE NOT searchable"
WORDS = (
    "CREATE INDEX CONCURRENTLY {} ON threads_message"
    " USING gin (workspace_id, to_tsvector('simple', left(content, 100000))){}"
)


class Migration(migrations.Migration):
    """The words of messages that are searchable, and a small index of those that are not yet.

    Messages are written and searched meanwhile. Each statement stands by itself and may come twice: where it was
    interrupted, the migration begins again.
    """

    atomic = False
    dependencies = [("threads", "0028_searchable_messages")]

    operations = [
        migrations.SeparateDatabaseAndState(
            state_operations=[
                migrations.AddIndex(
                    "message",
                    models.Index(
                        models.F("workspace"), models.F("id"),
                        condition=models.Q(("searchable", False)), name="message_not_searchable",
                    ),
                ),
            ],
            database_operations=[
                migrations.RunSQL(
                    ["DROP INDEX CONCURRENTLY IF EXISTS message_not_searchable", WAITING],
                    ["DROP INDEX CONCURRENTLY IF EXISTS message_not_searchable"],
                ),
            ],
        ),
        migrations.RunSQL(
            ["DROP INDEX CONCURRENTLY IF EXISTS message_words", WORDS.format("message_words", " WHERE searchable")],
            ["DROP INDEX CONCURRENTLY IF EXISTS message_words"],
        ),
        migrations.RunSQL(
            [
                "DROP INDEX CONCURRENTLY IF EXISTS message_text",
                "ALTER INDEX message_words RENAME TO message_text",
            ],
            [
                "ALTER INDEX message_text RENAME TO message_words",
                WORDS.format("message_text", ""),
            ],
        ),
    ]  # fmt: skip
