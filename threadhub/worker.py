"""The worker: takes jobs out of PostgreSQL and executes them, several at a time in one event loop."""

from procrastinate import PsycopgConnector
from procrastinate.contrib.django import app
from procrastinate.contrib.django.utils import connector_params

QUEUES = ["runs", "upkeep"]


async def run_worker(*, concurrency: int, install_signal_handlers: bool = False) -> None:
    """Work until cancelled, or until SIGTERM or SIGINT where signal handlers are wanted."""
    parameters = {name: value for name, value in connector_params().items() if name not in NOT_FOR_PSYCOPG}
    connector = PsycopgConnector(kwargs=parameters, min_size=1, max_size=4)
    with app.replace_connector(connector) as working:
        async with working.open_async():
            await working.run_worker_async(
                queues=QUEUES,
                concurrency=concurrency,
                install_signal_handlers=install_signal_handlers,
                delete_jobs="successful",
                shutdown_graceful_timeout=SHUTDOWN_SECONDS,
                fetch_job_polling_interval=POLL_SECONDS,
            )


NOT_FOR_PSYCOPG = ("pool", "server_side_binding", "isolation_level", "assume_role", "prepare_threshold")
SHUTDOWN_SECONDS = 10.0  # how long a stopping worker lets its runs go on before it ends them
POLL_SECONDS = 5.0  # jobs are heard of by NOTIFY; this finds those that a lost connection missed
