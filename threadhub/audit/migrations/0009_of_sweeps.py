from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    """The newest report of a sweep is found beside all else that the worker does; made without holding up who writes
    events."""

    atomic = False
    dependencies = [("audit", "0008_of_agent")]

    operations = [
        migrations.RunSQL("DROP INDEX CONCURRENTLY IF EXISTS audit_of_sweeps", migrations.RunSQL.noop),  # where it was interrupted
        AddIndexConcurrently(
            "auditevent",
            models.Index(
                "workspace_id",
                models.OrderBy(models.F("created_at"), descending=True),
                models.OrderBy(models.F("id"), descending=True),
                name="audit_of_sweeps",
                condition=models.Q(("action", "sweep.report")),
            ),
        ),
    ]
