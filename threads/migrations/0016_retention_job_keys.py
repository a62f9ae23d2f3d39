from django.db import migrations

from threadhub.lib.tenancy import WorkspaceKeys


class Migration(migrations.Migration):
    dependencies = [("threads", "0015_retention_jobs")]

    operations = [WorkspaceKeys("threads_retentionjob")]
