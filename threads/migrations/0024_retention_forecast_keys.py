from django.db import migrations

from threadhub.lib.tenancy import WorkspaceKeys


class Migration(migrations.Migration):
    dependencies = [("threads", "0023_retention_forecast")]

    operations = [WorkspaceKeys("threads_retentionforecast")]
