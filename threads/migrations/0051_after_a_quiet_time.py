from importlib import import_module

from django.db import migrations

earlier = import_module("threads.migrations.0043_older_than_all_threads")
BEFORE = f"{earlier.OTHERS}{earlier.OLDEST}{earlier.REST}"
BEGIN, LONGER = "span text := 'newest';", "digits := greatest(digits - 1, 5);"
# Twelve days and a half, in the steps of which `first` is one: an empty span of four hours costs 30 microseconds.
QUIET = "quiet_since bigint := first - 1024;"
CAREFUL = "digits := greatest(digits - 1, CASE WHEN lacking = wanted AND bound > quiet_since THEN 6 ELSE 5 END);"
assert BEFORE.count(BEGIN) == BEFORE.count(LONGER) == 1
NEWEST = BEFORE.replace(BEGIN, f"{QUIET}\n    {BEGIN}").replace(LONGER, CAREFUL)


class Migration(migrations.Migration):
    """Words that many messages hold, where nobody has written for some hours: while nothing was found, and for twelve
    days, no span of three days is asked. That it has too many is known only when all of them are found.
    """

    dependencies = [("threads", "0050_moving_between_bundles")]

    operations = [migrations.RunSQL([NEWEST], [BEFORE])]
