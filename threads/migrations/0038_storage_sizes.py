import django.db.models.deletion
from django.db import migrations, models

import threadhub.lib.ids
from threadhub.lib.tenancy import WorkspaceKeys


class Migration(migrations.Migration):
    dependencies = [("threads", "0037_what_policies_took")]

    operations = [
        migrations.CreateModel(
            name="StorageSize",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=threadhub.lib.ids.new, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("state", models.CharField(max_length=16)),
                ("messages", models.BigIntegerField()),
                ("files", models.BigIntegerField()),
                ("made_at", models.DateTimeField()),
                (
                    "workspace",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="workspaces.workspace",
                    ),
                ),
            ],
            options={
                "ordering": ["workspace", "state"],
                "constraints": [models.UniqueConstraint(fields=("workspace", "state"), name="storage_size_once")],
            },
        ),
        WorkspaceKeys("threads_storagesize"),
    ]
