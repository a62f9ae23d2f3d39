import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    """What trials of agents use that are not saved counts for their workspace, without an agent."""

    dependencies = [("agents", "0012_trials")]

    operations = [
        migrations.AlterField(
            model_name="dailyusage",
            name="agent",
            field=models.ForeignKey(
                db_constraint=False, db_index=False, null=True, on_delete=django.db.models.deletion.CASCADE,
                related_name="+", to="agents.agent",
            ),
        ),
        migrations.RemoveConstraint(model_name="dailyusage", name="daily_usage_once"),
        migrations.AddConstraint(
            model_name="dailyusage",
            constraint=models.UniqueConstraint(
                fields=("workspace", "agent", "day", "provider", "model", "purpose"),
                name="daily_usage_once",
                nulls_distinct=False,
            ),
        ),
    ]
