from django.db import migrations

from threadhub.lib.tenancy import Reference, WorkspaceKeys


class Migration(migrations.Migration):
    dependencies = [("chat_sessions", "0001_initial"), ("agents", "0002_workspace_keys")]

    operations = [
        WorkspaceKeys("chat_sessions_chatsession", [Reference("agent_id", "agents_agent", "CASCADE")]),
    ]
