"""The worker: takes jobs out of PostgreSQL and executes them, several at a time in one event loop."""

import asyncio
import logging
from typing import Any
from uuid import UUID

import psycopg
from django.conf import settings
from procrastinate import App, BaseConnector, PsycopgConnector
from procrastinate.contrib.django import app
from procrastinate.contrib.django.utils import connector_params
from procrastinate.exceptions import ConnectorException
from procrastinate.job_context import JobContext
from procrastinate.middleware import AsyncCallNext
from procrastinate.worker import Worker
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from threadhub import audit, embedded
from threadhub.isolation import scope
from threadhub.isolation.backend import pool as pools
from threadhub.isolation.scope import Door
from threadhub.lib.asynchronous import in_thread
from threadhub.lib.queues import QUEUES

logger = logging.getLogger(__name__)

UPKEEP_CONCURRENCY = 3  # slots of their own: ending lost runs must not wait for long runs to end
NOT_FOR_PSYCOPG = ("pool", "server_side_binding", "isolation_level", "assume_role", "prepare_threshold")
SHUTDOWN_SECONDS = 10.0  # how long a stopping worker lets its runs go on before it ends them
POLL_SECONDS = 2.0  # jobs are heard of by NOTIFY; this finds those that a lost connection missed
UNHEARD_POLL_SECONDS = 1.0  # of those that nobody waits for, none is heard of


class WorkerStopped(Exception):
    """procrastinate stopped: it lost a connection that it needs."""


DATABASE_LOST = (WorkerStopped, ConnectorException, psycopg.OperationalError, PoolTimeout)
RETRY_SECONDS = 1.0


class WorkerConnector(PsycopgConnector):
    """The worker's own connections; what jobs defer in a thread still goes through Django's, as everywhere else.

    So it is written by the transaction that makes its reason: no other worker takes it before that is committed.
    """

    def __init__(self, **arguments: Any) -> None:
        super().__init__(**arguments)
        self._django = app.connector.get_sync_connector()

    def get_sync_connector(self) -> BaseConnector:
        return self._django


def direct_parameters() -> dict[str, Any]:
    """Arguments of `psycopg.connect` for a connection beside Django's pool; the embedded database then runs."""
    embedded.ensure_running_for(settings.DATABASES["default"])
    return {name: value for name, value in connector_params().items() if name not in NOT_FOR_PSYCOPG}


async def in_scope(call_next: AsyncCallNext, context: JobContext, worker: Worker) -> Any:
    """A job that is for one workspace sees that one; upkeep, which is for all, goes through its door."""
    workspace_id = context.job.task_kwargs.get("workspace_id")
    with scope.within(UUID(str(workspace_id))) if workspace_id else scope.through(Door.UPKEEP):
        return await call_next()


async def run_worker(*, concurrency: int) -> None:
    """Work until cancelled; then running jobs have SHUTDOWN_SECONDS to end. Outlives a restart of the database.

    Each life is a task of its own: what procrastinate and the task group cancel when a connection is lost is then never
    taken for the order to stop, which is what cancels this task.
    """
    audit.origin.set(audit.Origin(face="worker"))
    while True:
        life = asyncio.create_task(_work(concurrency=concurrency))
        try:
            await asyncio.wait([life])
        except asyncio.CancelledError:
            life.cancel()
            await asyncio.wait([life])
            raise
        finally:
            _note_the_end(life)
        await asyncio.sleep(RETRY_SECONDS)


def _note_the_end(life: asyncio.Task[None]) -> None:
    """Log why a worker's life ended; raises what is not the loss of the database."""
    if not life.done() or life.cancelled():
        return
    try:
        life.result()
    except* DATABASE_LOST as lost:
        reason = lost.exceptions[0]
        logger.warning("the worker starts again: %s", reason.__cause__ or reason)


async def _work(*, concurrency: int) -> None:
    parameters = await in_thread(direct_parameters)()
    connector = WorkerConnector(pool_factory=_pool, kwargs=parameters, min_size=1, max_size=6)
    with app.replace_connector(connector) as working:
        async with working.open_async(), asyncio.TaskGroup() as all_of_them:
            for queue in QUEUES:
                slots = UPKEEP_CONCURRENCY if queue == "upkeep" else concurrency
                all_of_them.create_task(_take_jobs(working, queue, slots, heard_of=queue != "afterwards"))


def _pool(**arguments: Any) -> AsyncConnectionPool[Any]:
    """procrastinate's own, each of whose questions is one statement: without BEGIN and COMMIT around it, and without
    asking a connection that has just worked whether it does."""
    own = {"configure": _autocommit, "check": pools.check_async, "reset": pools.note_use_async}
    return AsyncConnectionPool(**arguments | own)


async def _autocommit(connection: psycopg.AsyncConnection[Any]) -> None:
    await connection.set_autocommit(True)


async def _take_jobs(working: App, queue: str, concurrency: int, *, heard_of: bool) -> None:
    """Take jobs of one queue until cancelled. Raises WorkerStopped where procrastinate gives up by itself."""
    await working.run_worker_async(
        queues=[queue],
        name=queue,
        concurrency=concurrency,
        install_signal_handlers=False,
        delete_jobs="always",  # how a run ended stands in the run
        task_middleware=[in_scope],
        shutdown_graceful_timeout=SHUTDOWN_SECONDS,
        listen_notify=heard_of,
        fetch_job_polling_interval=POLL_SECONDS if heard_of else UNHEARD_POLL_SECONDS,
    )
    raise WorkerStopped
