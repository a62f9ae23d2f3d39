from django.db import migrations

from threadhub.lib.tenancy import WorkspaceKeys


class Migration(migrations.Migration):
    dependencies = [("api", "0001_initial")]

    operations = [WorkspaceKeys("api_idempotencyrecord")]
