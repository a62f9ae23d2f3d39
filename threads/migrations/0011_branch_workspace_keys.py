from django.db import migrations

from threadhub.lib.tenancy import Reference, WorkspaceKeys


class Migration(migrations.Migration):
    dependencies = [("threads", "0010_branches")]

    operations = [WorkspaceKeys("threads_branch", [Reference("thread_id", "threads_thread", "CASCADE")])]
