"""Upkeep of the API's own records."""

from django.utils import timezone
from procrastinate.contrib.django import app

from threadhub.lib.asynchronous import in_thread


@app.periodic(cron="17 * * * *")
@app.task(name="api.remove_old_idempotency_records", queue="upkeep", queueing_lock="api.remove_old_idempotency_records")
async def remove_old_idempotency_records(timestamp: int) -> None:
    """Forget idempotency keys after their 24 hours."""
    from threadhub.api.idempotency import remove_old

    await in_thread(remove_old)(now=timezone.now())
