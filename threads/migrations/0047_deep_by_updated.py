from importlib import import_module

from django.db import migrations, models

earlier = import_module("threads.migrations.0033_orders_of_threads")
NAME, COLUMNS = "thread_updated_about", "updated_about DESC NULLS LAST"


class Migration(migrations.Migration):
    """A deep page of a list by `updated` is found in the index alone: whether a thread is live stands in it."""

    atomic = False
    dependencies = [("threads", "0046_thread_counts_by_statement")]

    operations = [
        migrations.SeparateDatabaseAndState(
            state_operations=[
                migrations.RemoveIndex("thread", NAME),
                migrations.AddIndex(
                    "thread",
                    models.Index(
                        models.F("workspace"),
                        models.OrderBy(models.F("updated_about"), descending=True, nulls_last=True),
                        include=["state"],
                        name=NAME,
                    ),
                ),
            ],
            database_operations=[
                migrations.RunSQL(
                    earlier.replaced(NAME, COLUMNS, earlier.STATE), earlier.replaced(NAME, COLUMNS, earlier.NO_STATE)
                )
            ],
        ),
    ]
