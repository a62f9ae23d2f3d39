from django.db import migrations

from threadhub.lib.tenancy import WorkspaceKeys


class Migration(migrations.Migration):
    dependencies = [("audit", "0001_initial")]

    operations = [WorkspaceKeys("audit_auditevent")]
