from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    """A page of an agent's history is found by time; made without holding up who changes agents."""

    atomic = False
    dependencies = [("agents", "0013_trials_of_unsaved")]

    operations = [
        migrations.RunSQL("DROP INDEX CONCURRENTLY IF EXISTS agent_version_newest", migrations.RunSQL.noop),  # where it was interrupted
        AddIndexConcurrently(
            "agentversion",
            models.Index(
                "workspace",
                "agent",
                models.OrderBy(models.F("created_at"), descending=True),
                models.OrderBy(models.F("id"), descending=True),
                name="agent_version_newest",
            ),
        ),
    ]
