from django.db import migrations, models

NEWEST = ("workspace_id", models.F("created_at").desc(), models.F("id").desc())
OF_ACTOR = ("workspace_id", "actor", models.F("created_at").desc(), models.F("id").desc())

# PostgreSQL renames the column in its indexes by itself.
INDEXES = [
    *(
        migrations.RemoveIndex(model_name="auditevent", name=name)
        for name in ("audit_newest", "audit_of_actor", "audit_unlinked")
    ),
    migrations.AddIndex("auditevent", models.Index(*NEWEST, name="audit_newest")),
    migrations.AddIndex("auditevent", models.Index(*OF_ACTOR, name="audit_of_actor")),
    migrations.AddIndex(
        "auditevent",
        models.Index(
            models.F("workspace_id"), models.F("created_at"), models.F("id"),
            name="audit_unlinked", condition=models.Q(seq=None),
        ),
    ),
]


class Migration(migrations.Migration):
    dependencies = [("audit", "0003_append_only")]

    operations = [
        migrations.AlterModelOptions("auditevent", {"ordering": ["-created_at", "-id"]}),
        migrations.RenameField("auditevent", "at", "created_at"),
        migrations.SeparateDatabaseAndState(state_operations=INDEXES),
    ]
