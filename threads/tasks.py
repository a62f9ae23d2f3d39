"""Jobs of the worker. They stand in PostgreSQL, written by the transaction that makes their reason."""

from asyncio import CancelledError
from collections.abc import Callable
from contextlib import suppress
from threading import Event
from typing import TypeVar
from uuid import UUID

from django.utils import timezone
from procrastinate import RetryStrategy
from procrastinate.contrib.django import app
from procrastinate.exceptions import AlreadyEnqueued

from threadhub.lib.asynchronous import in_thread

Result = TypeVar("Result")

# What a stopping worker does not wait for is done by the next one.
IF_STOPPED = RetryStrategy(max_attempts=5, retry_exceptions={CancelledError})  # type: ignore[arg-type]


async def _until_stopped(work: Callable[..., Result]) -> Result:
    """Work in a thread. A worker that stops waits for the part in hand, not for the whole."""
    stop = Event()
    try:
        return await in_thread(work)(stop=stop)
    finally:
        stop.set()


@app.task(name="threads.execute", queue="runs", retry=RetryStrategy(max_attempts=5, wait=2))
async def execute(run_id: str, workspace_id: str) -> None:
    """Execute one run. Tried again where the database was away: a run that was taken meanwhile is left alone."""
    from threads.runs.execute import execute  # imports what only a worker needs

    await execute(run_id=UUID(run_id), workspace_id=UUID(workspace_id))


@app.task(name="threads.summarize", queue="afterwards", priority=-1, retry=IF_STOPPED)
async def summarize(thread_id: str, workspace_id: str) -> None:
    """Summarize the older messages of a thread; deferred with a lock per thread."""
    from threads.summaries import summarize

    await summarize(thread_id=UUID(thread_id), workspace_id=UUID(workspace_id))


@app.task(name="threads.title", queue="afterwards", priority=-2, retry=IF_STOPPED)
async def title(thread_id: str, workspace_id: str) -> None:
    """Have a thread named by its agent; deferred with a lock per thread."""
    from threads.titles import make

    await make(thread_id=UUID(thread_id), workspace_id=UUID(workspace_id))


@app.periodic(cron="* * * * * */10")
@app.task(name="threads.end_lost_runs", queue="upkeep", pass_context=False, queueing_lock="threads.end_lost_runs")
async def end_lost_runs(timestamp: int) -> None:
    """End runs whose worker died, and those that nobody took."""
    from threads.runs.end import end_all_lost

    await in_thread(end_all_lost)(now=timezone.now())


@app.periodic(cron="* * * * * */10")
@app.task(name="threads.expire_approvals", queue="upkeep", pass_context=False, queueing_lock="threads.expire_approvals")
async def expire_approvals(timestamp: int) -> None:
    """Refuse the calls that nobody approved in time; their runs go on."""
    from threads.actions.approvals import expire_due

    await in_thread(expire_due)(now=timezone.now())


@app.periodic(cron="*/10 * * * *")
@app.task(name="threads.compact_run_events", queue="upkeep", queueing_lock="threads.compact_run_events")
async def compact_run_events(timestamp: int) -> None:
    """Keep of runs long finished only what a replay needs beside the messages."""
    from threads.runs.replay import compact_finished

    await in_thread(compact_finished)(now=timezone.now())


@app.periodic(cron="* * * * * */10")
@app.task(
    name="threads.make_searchable", queue="upkeep", lock="threads.make_searchable",
    queueing_lock="threads.make_searchable",
)  # fmt: skip
async def make_searchable(timestamp: int) -> None:
    """Let search know of what came back in bulk: in short parts, each a job of its own, so that others have a turn."""
    from threads.search_backlog import catch_up

    if await _until_stopped(catch_up):
        with suppress(AlreadyEnqueued):
            await make_searchable.configure().defer_async(timestamp=timestamp)


@app.periodic(cron="*/5 * * * *")
@app.task(name="threads.count_activity", queue="upkeep", queueing_lock="threads.count_activity")
async def count_activity(timestamp: int) -> None:
    """Count what the day brought, for the console's front page."""
    from threads.activity import count_recent

    await in_thread(count_recent)(now=timezone.now())


@app.periodic(cron="*/5 * * * *")
@app.task(name="threads.remove_temporary", queue="upkeep", queueing_lock="threads.remove_temporary")
async def remove_temporary(timestamp: int) -> None:
    """Remove the threads behind askings without a thread, once they are answered."""
    from threads.actions.temporary import remove_answered

    await in_thread(remove_answered)(now=timezone.now())


@app.periodic(cron="*/10 * * * *")
@app.task(name="threads.sweep", queue="upkeep", queueing_lock="threads.sweep")
async def sweep(timestamp: int) -> None:
    """Apply retention in every workspace whose night has come."""
    from threads.lifecycle.nightly import sweep_all

    await _until_stopped(sweep_all)


@app.periodic(cron="23 * * * *")
@app.task(name="threads.forecast_retention", queue="upkeep", queueing_lock="threads.forecast_retention")
async def forecast_retention(timestamp: int) -> None:
    """Foretell what will be due for retention, where that was not done within a day."""
    from threads.lifecycle.forecast import make_due

    await in_thread(make_due)(now=timezone.now())


@app.periodic(cron="33 * * * *")
@app.task(name="threads.measure_storage", queue="upkeep", queueing_lock="threads.measure_storage")
async def measure_storage(timestamp: int) -> None:
    """Measure what live threads take, where that was not done within a day."""
    from threads.lifecycle.storage import measure_due

    await in_thread(measure_due)(now=timezone.now())


@app.periodic(cron="17 4 * * *")
@app.task(name="threads.read_ratings", queue="upkeep", queueing_lock="threads.read_ratings")
async def read_ratings(timestamp: int) -> None:
    """Let the console's lists know how threads were rated that an older version archived."""
    from threads.lifecycle.bundles.ratings import read_missing

    await _until_stopped(read_missing)


@app.periodic(cron="41 3 * * *")
@app.task(name="threads.remove_stray_files", queue="upkeep", queueing_lock="threads.remove_stray_files")
async def remove_stray_files(timestamp: int) -> None:
    """Remove files of attachments that nothing refers to."""
    from threads.stray_files import remove

    await in_thread(remove)(now=timezone.now())


@app.task(name="threads.erase", queue="upkeep")
async def erase(erasure_id: str, workspace_id: str) -> None:
    """Do a confirmed erasure."""
    from threads.lifecycle.erasure.erasures import proceed

    await in_thread(proceed)(workspace_id=UUID(workspace_id), erasure_id=UUID(erasure_id))


@app.periodic(cron="*/10 * * * *")
@app.task(name="threads.resume_erasures", queue="upkeep", queueing_lock="threads.resume_erasures")
async def resume_erasures(timestamp: int) -> None:
    """Go on with erasures that a crash or a hold stopped, each as a job of its own workspace."""
    from threads.lifecycle.erasure.erasures import unfinished

    for workspace_id, erasure_id in await in_thread(unfinished)():
        lock = f"threads.erase:{erasure_id}"
        try:
            await erase.configure(lock=lock, queueing_lock=lock).defer_async(
                erasure_id=str(erasure_id), workspace_id=str(workspace_id)
            )
        except AlreadyEnqueued:
            continue


@app.task(name="threads.make_export", queue="upkeep")
async def make_export(export_id: str, workspace_id: str) -> None:
    """Make an export that somebody asked for."""
    from threads.lifecycle.exporting.exports import make

    await in_thread(make)(workspace_id=UUID(workspace_id), export_id=UUID(export_id))


@app.periodic(cron="*/10 * * * *")
@app.task(name="threads.remove_exports", queue="upkeep", queueing_lock="threads.remove_exports")
async def remove_exports(timestamp: int) -> None:
    """Remove exports that have expired."""
    from threads.lifecycle.exporting.exports import remove_expired

    await in_thread(remove_expired)(now=timezone.now())


@app.task(name="threads.do_retention_jobs", queue="upkeep")
async def do_retention_jobs() -> None:
    """Do what people asked for in the console, as far as one part goes."""
    from threads.lifecycle.jobs import do_waiting

    await _until_stopped(do_waiting)


@app.periodic(cron="* * * * *")
@app.task(name="threads.resume_retention_jobs", queue="upkeep", queueing_lock="threads.resume_retention_jobs")
async def resume_retention_jobs(timestamp: int) -> None:
    """The next part of what takes long, and what a worker left half-way."""
    await do_retention_jobs()


# One at a time, so that others have their turn in the queue.
@app.task(name="threads.count_retention", queue="upkeep", lock="threads.count_retention")
async def count_retention() -> None:
    """Count what is due where a page of the console waits for it."""
    from threads.lifecycle import counting, system_counting

    await _until_stopped(counting.do_waiting)
    await _until_stopped(system_counting.do_waiting)


@app.periodic(cron="* * * * *")
@app.task(
    name="threads.resume_counts",
    queue="upkeep",
    lock="threads.count_retention",
    queueing_lock="threads.resume_counts",
)
async def resume_counts(timestamp: int) -> None:
    """What a worker left half-way."""
    await count_retention()
