from django.db import migrations

from threadhub.lib.tenancy import WorkspaceKeys


class Migration(migrations.Migration):
    dependencies = [("audit", "0005_access_monitoring")]

    operations = [
        WorkspaceKeys("audit_accesscount"),
        WorkspaceKeys("audit_accessaddress"),
        WorkspaceKeys("audit_accessalert"),
    ]
