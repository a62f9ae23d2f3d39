from django.db import migrations, models


def replaced(included: str) -> list[str]:
    """The old index serves until the new one is whole. Each step may come twice: an interrupted migration begins
    again."""
    return [
        "DROP INDEX CONCURRENTLY IF EXISTS thread_updated_about_next",
        "CREATE INDEX CONCURRENTLY thread_updated_about_next"
        f" ON threads_thread (workspace_id, updated_about DESC NULLS LAST){included}",
        "DROP INDEX CONCURRENTLY IF EXISTS thread_updated_about",
        "ALTER INDEX thread_updated_about_next RENAME TO thread_updated_about",
    ]


class Migration(migrations.Migration):
    """A deep page of a list by `updated` is found in the index alone: whether a thread is live stands in it."""

    atomic = False
    dependencies = [("threads", "0046_thread_counts_by_statement")]

    operations = [
        migrations.SeparateDatabaseAndState(
            state_operations=[
                migrations.RemoveIndex("thread", "thread_updated_about"),
                migrations.AddIndex(
                    "thread",
                    models.Index(
                        models.F("workspace"),
                        models.OrderBy(models.F("updated_about"), descending=True, nulls_last=True),
                        include=["state"],
                        name="thread_updated_about",
                    ),
                ),
            ],
            database_operations=[migrations.RunSQL(replaced(" INCLUDE (state)"), replaced(""))],
        ),
    ]
