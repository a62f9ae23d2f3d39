from django.db import migrations

from threadhub.lib.tenancy import Reference, WorkspaceKeys

OF_THREAD = Reference("thread_id", "threads_thread", "CASCADE")


class Migration(migrations.Migration):
    """A thread's rows go with it: PostgreSQL cascades, in one statement, whatever deletes the thread."""

    dependencies = [("threads", "0001_initial"), ("chat_sessions", "0002_workspace_keys")]

    operations = [
        WorkspaceKeys(
            "threads_thread",
            [
                Reference("agent_id", "agents_agent", "RESTRICT"),
                Reference("chat_session_id", "chat_sessions_chatsession", "SET NULL"),
            ],
        ),
        WorkspaceKeys("threads_message", [OF_THREAD]),
        WorkspaceKeys("threads_attachment", [OF_THREAD, Reference("message_id", "threads_message", "CASCADE")]),
        WorkspaceKeys("threads_summary", [OF_THREAD]),
        WorkspaceKeys("threads_run", [OF_THREAD, Reference("agent_id", "agents_agent", "CASCADE")]),
        WorkspaceKeys("threads_runevent", [Reference("run_id", "threads_run", "CASCADE")], primary_key=False),
    ]
