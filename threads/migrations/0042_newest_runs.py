from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    """Runs of one workspace, newest first; made beside the work."""

    atomic = False
    dependencies = [("threads", "0041_indexes_of_ratings")]

    operations = [
        migrations.RunSQL("DROP INDEX CONCURRENTLY IF EXISTS run_newest", migrations.RunSQL.noop),  # where it was interrupted
        AddIndexConcurrently(
            "run",
            models.Index(
                models.F("workspace"), models.F("created_at").desc(), models.F("id").desc(), name="run_newest"
            ),
        )
    ]
