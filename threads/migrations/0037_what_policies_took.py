from django.db import migrations, models

# What acted already has taken what was foreseen.
SPENT = "UPDATE {table} SET acted_count = 2 * COALESCE(previewed_count, 0) WHERE first_acted_at IS NOT NULL"
TABLES = ("threads_retentionpolicy", "threads_systempolicy")


class Migration(migrations.Migration):
    dependencies = [("threads", "0036_system_counts")]

    operations = [
        *(
            migrations.AddField(
                model_name=model,
                name="acted_count",
                field=models.IntegerField(db_default=0, default=0, editable=False),
            )
            for model in ("retentionpolicy", "systempolicy")
        ),
        *(migrations.RunSQL(SPENT.format(table=table), migrations.RunSQL.noop) for table in TABLES),
        *(
            migrations.RemoveField(model_name=model, name="first_acted_at")
            for model in ("retentionpolicy", "systempolicy")
        ),
        migrations.AddField(
            model_name="retentionsettings",
            name="capped_since",
            field=models.DateTimeField(editable=False, null=True),
        ),
        migrations.AddField(
            model_name="retentionsettings",
            name="taken_since",
            field=models.PositiveIntegerField(db_default=0, default=0, editable=False),
        ),
    ]
