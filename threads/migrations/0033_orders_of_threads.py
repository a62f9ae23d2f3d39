import threads.querysets.threads
from django.db import migrations, models

BY_TITLE = """
CREATE INDEX CONCURRENTLY thread_by_title ON threads_thread (workspace_id, (left(title, 100)) NULLS FIRST, id)
"""
NO_TITLE = "DROP INDEX CONCURRENTLY IF EXISTS thread_by_title"
BY_USER = "CREATE INDEX CONCURRENTLY {0} ON threads_thread (workspace_id, user_id {1}, created_at DESC, id DESC)"
GONE = "DROP INDEX CONCURRENTLY IF EXISTS {0}"
NAMED = "ALTER INDEX thread_by_user_next RENAME TO thread_by_user"


def replaced(nulls: str) -> list[str]:
    """The old index serves until the new one is whole. Each step may come twice: an interrupted migration begins again."""
    made = [GONE.format("thread_by_user_next"), BY_USER.format("thread_by_user_next", nulls)]
    return [*made, GONE.format("thread_by_user"), NAMED]


class Migration(migrations.Migration):
    """Lists sorted by title or user find their page by index: what has no title or user comes first, as they ask."""

    atomic = False
    dependencies = [("threads", "0032_updated_about")]

    operations = [
        migrations.SeparateDatabaseAndState(
            state_operations=[
                migrations.RemoveIndex("thread", "thread_by_user"),
                migrations.AddIndex(
                    "thread",
                    models.Index(
                        models.F("workspace"),
                        models.OrderBy(models.F("user"), nulls_first=True),
                        models.OrderBy(models.F("created_at"), descending=True),
                        models.OrderBy(models.F("id"), descending=True),
                        name="thread_by_user",
                    ),
                ),
                migrations.AddIndex(
                    "thread",
                    models.Index(
                        models.F("workspace"),
                        models.OrderBy(threads.querysets.threads.Beginning("title"), nulls_first=True),
                        models.F("id"),
                        name="thread_by_title",
                    ),
                ),
            ],
            database_operations=[
                migrations.RunSQL([NO_TITLE, BY_TITLE], NO_TITLE),
                migrations.RunSQL(replaced("NULLS FIRST"), replaced("NULLS LAST")),
            ],
        ),
    ]
