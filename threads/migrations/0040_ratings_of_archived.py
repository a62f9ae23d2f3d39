from django.db import migrations, models


class Migration(migrations.Migration):
    """What a list shows of an archived thread's feedback stands beside it in the catalogue. Of threads that were archived
    before, the worker reads it in their bundles (threads/lifecycle/bundles/ratings.py)."""

    dependencies = [("threads", "0039_holds_on_bundles")]

    operations = [
        migrations.AddField("bundledthread", "good", models.IntegerField(null=True)),
        migrations.AddField("bundledthread", "bad", models.IntegerField(null=True)),
    ]
