"""Upkeep of the limits."""

from django.utils import timezone
from procrastinate.contrib.django import app

from threadhub.lib.asynchronous import in_thread


@app.periodic(cron="41 * * * *")
@app.task(name="limits.forget_old", queue="upkeep", queueing_lock="limits.forget_old")
async def forget_old(timestamp: int) -> None:
    """Drop buckets that are full again, and addresses not seen for long."""
    from threadhub.limits import upkeep

    await in_thread(upkeep.forget_old)(now=timezone.now())
