import django.db.models.deletion
import django.db.models.functions.datetime
from django.db import migrations, models

import threadhub.lib.ids

STATUSES = [("queued", "Waiting"), ("running", "Going on"), ("done", "Done"), ("failed", "Failed")]


class Migration(migrations.Migration):
    """What a policy of the installation would do is counted by the worker too. It is of no workspace: superusers'."""

    dependencies = [("threads", "0035_retention_counts")]

    operations = [
        migrations.CreateModel(
            name="SystemCount",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=threadhub.lib.ids.new, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("status", models.CharField(choices=STATUSES, default="queued", max_length=16)),
                ("cutoff", models.DateTimeField()),
                ("plan", models.JSONField(default=dict)),
                ("planned", models.IntegerField(default=0)),
                ("done", models.IntegerField(default=0)),
                ("asked_by", models.CharField(max_length=64)),
                ("stop_asked", models.BooleanField(default=False)),
                ("ended", models.CharField(blank=True, max_length=16)),
                ("error", models.TextField(blank=True)),
                (
                    "created_at",
                    models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), editable=False),
                ),
                ("started_at", models.DateTimeField(editable=False, null=True)),
                ("finished_at", models.DateTimeField(editable=False, null=True)),
                (
                    "policy",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE, related_name="+", to="threads.systempolicy"
                    ),
                ),
            ],
            options={"ordering": ["-created_at", "-id"]},
        ),
    ]
