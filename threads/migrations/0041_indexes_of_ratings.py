from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    """Made beside the work: the catalogue may be large."""

    atomic = False
    dependencies = [("threads", "0040_ratings_of_archived")]

    operations = [
        *[
            AddIndexConcurrently(
                "bundledthread",
                models.Index(
                    models.F("workspace"),
                    models.F("thread_id").desc(),
                    condition=models.Q((f"{rating}__gt", 0)),
                    name=f"bundled_rated_{rating}",
                ),
            )
            for rating in ("good", "bad")
        ],
        AddIndexConcurrently(
            "bundledthread",
            models.Index(
                models.F("workspace"),
                condition=models.Q(("counts__has_key", "feedback"), ("good__isnull", True)),
                name="bundled_ratings_unread",
            ),
        ),
    ]
