from importlib import import_module

from django.db import migrations

earlier = import_module("threads.migrations.0043_older_than_all_threads")
BEFORE = f"{earlier.OTHERS}{earlier.OLDEST}{earlier.REST}"
BEGIN, LONGER = "span text := 'newest';", "digits := greatest(digits - 1, 5);"
# Where the span of three days begins that is before the one of the present: 256 of the steps in which `first` counts.
LATELY = "lately bigint := ((first >> 8) - 1) << 8;"
SHORT = "digits := greatest(digits - 1, CASE WHEN bound > lately THEN 6 ELSE 5 END);"
assert BEFORE.count(BEGIN) == BEFORE.count(LONGER) == 1
NEWEST = BEFORE.replace(BEGIN, f"{LATELY}\n    {BEGIN}").replace(LONGER, SHORT)


class Migration(migrations.Migration):
    """Words that many messages hold, where nobody has written for some hours: of the last three to six days, no span is
    longer than four hours and a half. That a long one has too many is known only when all of them are found.

    A word that hardly anybody says is asked for in up to fifteen spans more: 30 to 150 microseconds each.
    """

    dependencies = [("threads", "0050_moving_between_bundles")]

    operations = [migrations.RunSQL([NEWEST], [BEFORE])]
