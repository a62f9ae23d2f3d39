from django.db import migrations

from threadhub.lib.tenancy import Reference, WorkspaceKeys


class Migration(migrations.Migration):
    dependencies = [("threads", "0020_daily_activity")]

    operations = [WorkspaceKeys("threads_dailyactivity", [Reference("agent_id", "agents_agent", "CASCADE")])]
