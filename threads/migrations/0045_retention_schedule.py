from django.db import migrations, models

CHOICES = [("daily", "Daily"), ("weekly", "Weekly"), ("by_hand", "By Hand")]


class Migration(migrations.Migration):
    dependencies = [("threads", "0044_authors")]

    operations = [
        migrations.AddField(
            "retentionsettings",
            "schedule",
            models.CharField(choices=CHOICES, db_default="daily", default="daily", max_length=16),
        ),
        migrations.AddField(
            "retentionsettings", "scheduled_since", models.DateTimeField(editable=False, null=True)
        ),
        migrations.AddConstraint(
            "retentionsettings",
            models.CheckConstraint(
                condition=models.Q(("schedule__in", ["daily", "weekly", "by_hand"])), name="retention_schedule_known"
            ),
        ),
    ]
