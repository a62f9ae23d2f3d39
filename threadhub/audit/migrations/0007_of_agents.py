from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    """What changes agents is found beside the events of their sessions; made without holding up who writes events."""

    atomic = False
    dependencies = [("audit", "0006_access_workspace_keys")]

    operations = [
        AddIndexConcurrently(
            "auditevent",
            models.Index(
                "workspace_id",
                models.OrderBy(models.F("created_at"), descending=True),
                models.OrderBy(models.F("id"), descending=True),
                name="audit_of_agents",
                condition=models.Q(
                    (
                        "action__in",
                        (
                            "agent.create",
                            "agent.update",
                            "budget.set",
                            "api_key.create",
                            "api_key.change",
                            "api_key.rotate",
                            "api_key.revoke",
                        ),
                    )
                ),
            ),
        ),
    ]
