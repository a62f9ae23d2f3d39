"""Jobs of the worker."""

from django.utils import timezone
from procrastinate.contrib.django import app

from threadhub.lib.asynchronous import in_thread


@app.periodic(cron="*/5 * * * *")
@app.task(name="chat_sessions.cleanup", queue="upkeep", queueing_lock="chat_sessions.cleanup")
async def cleanup(timestamp: int) -> None:
    """End what expired and remove what ended long ago; not while `manage.py cleanup_sessions` does."""
    from chat_sessions.cleanup import AnotherSweep, Bounds, sweep

    try:
        await in_thread(sweep)(now=timezone.now(), bounds=Bounds(max_seconds=60))
    except AnotherSweep:
        return
