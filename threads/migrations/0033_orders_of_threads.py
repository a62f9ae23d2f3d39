import threads.querysets.threads
from django.db import migrations, models

COLUMNS = {
    "thread_by_title": "(left(title, 100)) NULLS FIRST, id",
    "thread_by_user": "user_id NULLS FIRST, created_at DESC, id DESC",
    "thread_by_agent": "agent_id, created_at DESC, id DESC",
}
BEFORE = {
    "thread_by_user": "user_id, created_at DESC, id DESC",
    "thread_by_agent": "agent_id, created_at DESC, id DESC",
}
STATE, NO_STATE = " INCLUDE (state)", ""


def replaced(name: str, columns: str, included: str) -> list[str]:
    """The old index serves until the new one is whole. Each step may come twice: an interrupted migration begins
    again."""
    return [
        f"DROP INDEX CONCURRENTLY IF EXISTS {name}_next",
        f"CREATE INDEX CONCURRENTLY {name}_next ON threads_thread (workspace_id, {columns}){included}",
        f"DROP INDEX CONCURRENTLY IF EXISTS {name}",
        f"ALTER INDEX {name}_next RENAME TO {name}",
    ]


def back(name: str) -> list[str]:
    gone = [f"DROP INDEX CONCURRENTLY IF EXISTS {name}"]
    return replaced(name, BEFORE[name], NO_STATE) if name in BEFORE else gone


class Migration(migrations.Migration):
    """Lists sorted by title, user or agent find their page by index, however deep: what has no title or user comes
    first, as they ask, and whether a thread is live stands in the index."""

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
                        include=["state"],
                        name="thread_by_user",
                    ),
                ),
                migrations.RemoveIndex("thread", "thread_by_agent"),
                migrations.AddIndex(
                    "thread",
                    models.Index(
                        models.F("workspace"),
                        models.F("agent"),
                        models.OrderBy(models.F("created_at"), descending=True),
                        models.OrderBy(models.F("id"), descending=True),
                        include=["state"],
                        name="thread_by_agent",
                    ),
                ),
                migrations.AddIndex(
                    "thread",
                    models.Index(
                        models.F("workspace"),
                        models.OrderBy(threads.querysets.threads.Beginning("title"), nulls_first=True),
                        models.F("id"),
                        include=["state"],
                        name="thread_by_title",
                    ),
                ),
            ],
            database_operations=[
                migrations.RunSQL(replaced(name, columns, STATE), back(name)) for name, columns in COLUMNS.items()
            ],
        ),
    ]
