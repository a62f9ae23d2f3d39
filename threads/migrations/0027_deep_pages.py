from django.contrib.postgres.operations import AddIndexConcurrently, RemoveIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    """The index of the newest threads knows their state; made beside the old one, so that nobody waits."""

    atomic = False
    dependencies = [("threads", "0026_vacuum_settings")]

    operations = [
        AddIndexConcurrently(
            "thread",
            models.Index(
                "workspace",
                models.OrderBy(models.F("created_at"), descending=True),
                models.OrderBy(models.F("id"), descending=True),
                include=["state"],
                name="thread_newest_first",
            ),
        ),
        RemoveIndexConcurrently("thread", "thread_newest"),
    ]
