"""Upkeep of the audit trail."""

from procrastinate.contrib.django import app

from threadhub.lib.asynchronous import in_thread


@app.periodic(cron="* * * * * */10")
@app.task(name="audit.link", queue="upkeep", queueing_lock="audit.link")
async def link(timestamp: int) -> None:
    """Put new events into the chains of their workspaces."""
    from threadhub.audit.linking import link_all

    await in_thread(link_all)()
