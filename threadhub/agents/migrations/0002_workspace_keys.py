from django.contrib.postgres.operations import BtreeGinExtension, TrigramExtension
from django.db import migrations

from threadhub.lib.tenancy import Reference, WorkspaceKeys


class Migration(migrations.Migration):
    dependencies = [("agents", "0001_initial")]

    operations = [
        BtreeGinExtension(),  # a workspace beside the words of an index (threads)
        TrigramExtension(),
        WorkspaceKeys("agents_agent"),
        WorkspaceKeys("agents_tool"),
        WorkspaceKeys(
            "agents_agenttool",
            [Reference("agent_id", "agents_agent", "CASCADE"), Reference("tool_id", "agents_tool", "CASCADE")],
        ),
    ]
