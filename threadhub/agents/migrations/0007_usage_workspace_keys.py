from django.db import migrations

from threadhub.lib.tenancy import Reference, WorkspaceKeys


class Migration(migrations.Migration):
    dependencies = [("agents", "0006_usage")]

    operations = [
        WorkspaceKeys("agents_dailyusage", [Reference("agent_id", "agents_agent", "CASCADE")]),
        WorkspaceKeys("agents_budget", [Reference("agent_id", "agents_agent", "CASCADE")]),
    ]
