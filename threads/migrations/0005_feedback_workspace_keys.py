from django.db import migrations

from threadhub.lib.tenancy import Reference, WorkspaceKeys


class Migration(migrations.Migration):
    dependencies = [("threads", "0004_feedback")]

    operations = [
        WorkspaceKeys(
            "threads_feedback",
            [
                Reference("thread_id", "threads_thread", "CASCADE"),
                Reference("message_id", "threads_message", "CASCADE"),
            ],
        ),
    ]
