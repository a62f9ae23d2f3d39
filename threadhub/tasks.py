"""Jobs of the installation itself."""

from django.conf import settings
from procrastinate.contrib.django import app
from procrastinate.jobs import Status

# A worker says every ten seconds that it lives (procrastinate's heartbeat); one that missed three of them is dead.
DEAD_AFTER_SECONDS = 30.0


@app.task(name="threadhub.greet", queue="upkeep")
async def greet() -> None:
    """Nothing. That it is gone from the queue shows that a worker takes jobs."""


@app.periodic(cron="* * * * * */10")
@app.task(
    name="threadhub.drop_jobs_of_dead_workers", queue="upkeep", queueing_lock="threadhub.drop_jobs_of_dead_workers"
)
async def drop_jobs_of_dead_workers(timestamp: int) -> None:
    """Free what a killed worker had in hand: such a job would keep its lock, and so those that wait for it, for ever.

    The jobs of runs go back into the queue: a run that was not taken yet is taken now, any other is left to its lease
    (threads/runs/end.py). So do titles and summaries. A periodic job comes again by itself.
    """
    for job in await app.job_manager.get_stalled_jobs(seconds_since_heartbeat=DEAD_AFTER_SECONDS):
        if job.queue == "upkeep":
            await app.job_manager.finish_job(job=job, status=Status.FAILED, delete_job=True)
        else:
            await app.job_manager.retry_job(job)


@app.periodic(cron="* * * * * */10")
@app.task(name="threadhub.send_access_alerts", queue="upkeep", queueing_lock="threadhub.send_access_alerts")
async def send_access_alerts(timestamp: int) -> None:
    """Post access alerts to the webhook, where there is one."""
    if settings.ACCESS_ALERT_WEBHOOK:
        from threadhub.access_webhook import send_waiting

        await send_waiting()
