from django.db import migrations, models

KINDS = [
    ("apply", "Apply the policies"), ("restore", "Restore a bundle's threads"), ("verify", "Verify a bundle"),
    ("count", "Count what is due"),
]  # fmt: skip
LIVE = ("status__in", ["queued", "running"])


class Migration(migrations.Migration):
    """Counts are jobs too, one of a kind at a time, beside those that change something."""

    dependencies = [("threads", "0034_newest_saying")]

    operations = [
        migrations.RemoveConstraint("retentionjob", "retention_job_one_at_a_time"),
        migrations.AddField("retentionjob", "policy_id", models.UUIDField(editable=False, null=True)),
        migrations.AlterField("retentionjob", "kind", models.CharField(choices=KINDS, max_length=16)),
        migrations.AddConstraint(
            "retentionjob",
            models.UniqueConstraint(
                condition=models.Q(LIVE, models.Q(("kind", "count"), _negated=True)),
                fields=("workspace",),
                name="retention_job_one_at_a_time",
            ),
        ),
        migrations.AddConstraint(
            "retentionjob",
            models.UniqueConstraint(
                condition=models.Q(("kind", "count"), LIVE),
                fields=("workspace", "policy_id"),
                name="retention_count_one_at_a_time",
                nulls_distinct=False,
            ),
        ),
    ]
