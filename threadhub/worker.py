"""The worker: takes jobs out of PostgreSQL and executes them, several at a time in one event loop."""

import asyncio
import logging
from typing import Any

import psycopg
import psycopg_pool
from django.conf import settings
from procrastinate import PsycopgConnector
from procrastinate.contrib.django import app
from procrastinate.contrib.django.utils import connector_params
from procrastinate.exceptions import ConnectorException

from threadhub import embedded
from threadhub.lib.asynchronous import in_thread

logger = logging.getLogger(__name__)

QUEUES = ["runs", "upkeep"]
NOT_FOR_PSYCOPG = ("pool", "server_side_binding", "isolation_level", "assume_role", "prepare_threshold")
SHUTDOWN_SECONDS = 10.0  # how long a stopping worker lets its runs go on before it ends them
POLL_SECONDS = 5.0  # jobs are heard of by NOTIFY; this finds those that a lost connection missed
DATABASE_LOST = (ConnectorException, psycopg.OperationalError, psycopg_pool.PoolTimeout)
RETRY_SECONDS = 1.0


def direct_parameters() -> dict[str, Any]:
    """Arguments of `psycopg.connect` for a connection beside Django's pool; the embedded database then runs."""
    embedded.ensure_running_for(settings.DATABASES["default"])
    return {name: value for name, value in connector_params().items() if name not in NOT_FOR_PSYCOPG}


async def run_worker(*, concurrency: int) -> None:
    """Work until cancelled; then running jobs have SHUTDOWN_SECONDS to end. Outlives a restart of the database."""
    task = asyncio.current_task()
    assert task is not None  # noqa: S101  a coroutine runs in a task
    while True:
        try:
            await _work(concurrency=concurrency)
            reason = "it stopped by itself"
        except DATABASE_LOST as error:
            reason = str(error.__cause__ or error)
        if task.cancelling():
            raise asyncio.CancelledError
        logger.warning("the worker starts again: %s", reason)
        await asyncio.sleep(RETRY_SECONDS)


async def _work(*, concurrency: int) -> None:
    parameters = await in_thread(direct_parameters)()
    connector = PsycopgConnector(kwargs=parameters, min_size=1, max_size=4)
    with app.replace_connector(connector) as working:
        async with working.open_async():
            await working.run_worker_async(
                queues=QUEUES,
                concurrency=concurrency,
                install_signal_handlers=False,
                delete_jobs="always",  # how a run ended stands in the run
                shutdown_graceful_timeout=SHUTDOWN_SECONDS,
                fetch_job_polling_interval=POLL_SECONDS,
            )
