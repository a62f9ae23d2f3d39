from django.contrib.postgres.operations import AddIndexConcurrently, RemoveIndexConcurrently
from django.db import migrations, models

OF_KEYS = ("api_key.create", "api_key.change", "api_key.rotate", "api_key.revoke")
OF_AGENTS = ("agent.create", "agent.update", "budget.set", *OF_KEYS)


class Migration(migrations.Migration):
    """One agent's history is found beside those of the others, without the keys of end users; made beside the old
    index, without holding up who writes events."""

    atomic = False
    dependencies = [("audit", "0007_of_agents")]

    operations = [
        migrations.RunSQL("DROP INDEX CONCURRENTLY IF EXISTS audit_of_agent", migrations.RunSQL.noop),  # where it was interrupted
        AddIndexConcurrently(
            "auditevent",
            models.Index(
                "workspace_id",
                models.Case(
                    models.When(action__in=OF_KEYS, then=models.F("ids__1")), default=models.F("ids__0")
                ),
                models.OrderBy(models.F("created_at"), descending=True),
                models.OrderBy(models.F("id"), descending=True),
                name="audit_of_agent",
                condition=models.Q(
                    ("action__in", OF_AGENTS), models.Q(("details__contains", {"kind": "end_user"}), _negated=True)
                ),
            ),
        ),
        RemoveIndexConcurrently("auditevent", "audit_of_agents"),
    ]
