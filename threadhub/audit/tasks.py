"""Upkeep of the audit trail."""

from django.utils import timezone
from procrastinate.contrib.django import app

from threadhub.lib.asynchronous import in_thread


@app.periodic(cron="* * * * * */10")
@app.task(name="audit.link", queue="upkeep", queueing_lock="audit.link")
async def link(timestamp: int) -> None:
    """Put new events into the chains of their workspaces."""
    from threadhub.audit.linking import link_all

    await in_thread(link_all)()


@app.periodic(cron="23 * * * *")
@app.task(name="audit.forget_access_counts", queue="upkeep", queueing_lock="audit.forget_access_counts")
async def forget_access_counts(timestamp: int) -> None:
    """Drop counts of access after a day."""
    from threadhub.audit.alerts import forget_counts

    await in_thread(forget_counts)(now=timezone.now())
