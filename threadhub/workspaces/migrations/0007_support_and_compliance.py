from django.db import migrations, models

ROLES = ["owner", "admin", "support", "compliance", "member", "viewer"]
CONSTRAINTS = (("membership", "membership_role_known"), ("invitation", "invitation_role_known"))


class Migration(migrations.Migration):
    dependencies = [("workspaces", "0006_key_changes_are_told")]

    operations = [
        *[migrations.RemoveConstraint(model_name=model, name=name) for model, name in CONSTRAINTS],
        *[
            migrations.AlterField(
                model_name=model,
                name="role",
                field=models.CharField(choices=[(role, role) for role in ROLES], max_length=16),
            )
            for model, _ in CONSTRAINTS
        ],
        *[
            migrations.AddConstraint(
                model_name=model,
                constraint=models.CheckConstraint(condition=models.Q(("role__in", ROLES)), name=name),
            )
            for model, name in CONSTRAINTS
        ],
    ]
