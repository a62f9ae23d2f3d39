import django.db.models.deletion
from django.db import migrations, models

ONCE = ("workspace", "agent", "day", "provider", "model", "purpose")
GONE = "DROP INDEX CONCURRENTLY IF EXISTS daily_usage_once_next"
BUILT = (
    "CREATE UNIQUE INDEX CONCURRENTLY daily_usage_once_next ON agents_dailyusage"
    " (workspace_id, agent_id, day, provider, model, purpose)"
)
TAKEN = (
    "ALTER TABLE agents_dailyusage DROP CONSTRAINT IF EXISTS daily_usage_once,"
    " ADD CONSTRAINT daily_usage_once UNIQUE USING INDEX daily_usage_once_next"
)
# The check is looked at beside the work, and then known: the column need not be.
NAMED = [
    "ALTER TABLE agents_dailyusage DROP CONSTRAINT IF EXISTS daily_usage_of_agent",
    "ALTER TABLE agents_dailyusage ADD CONSTRAINT daily_usage_of_agent CHECK (agent_id IS NOT NULL) NOT VALID",
    "DELETE FROM agents_dailyusage WHERE agent_id IS NULL",
    "ALTER TABLE agents_dailyusage VALIDATE CONSTRAINT daily_usage_of_agent",
    "ALTER TABLE agents_dailyusage ALTER COLUMN agent_id SET NOT NULL",
    "ALTER TABLE agents_dailyusage DROP CONSTRAINT daily_usage_of_agent",
]


class Migration(migrations.Migration):
    """What trials of agents use that are not saved counts for their workspace, without an agent.

    Answers are counted meanwhile. Each step may come twice: where it was interrupted, the migration begins again. Going
    back forgets what has no agent.
    """

    atomic = False
    dependencies = [("agents", "0012_trials")]

    operations = [
        migrations.SeparateDatabaseAndState(
            state_operations=[
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
                    constraint=models.UniqueConstraint(fields=ONCE, name="daily_usage_once", nulls_distinct=False),
                ),
            ],
            database_operations=[
                migrations.RunSQL("ALTER TABLE agents_dailyusage ALTER COLUMN agent_id DROP NOT NULL", NAMED),
                migrations.RunSQL([GONE, f"{BUILT} NULLS NOT DISTINCT", TAKEN], [GONE, BUILT, TAKEN]),
            ],
        ),
    ]
