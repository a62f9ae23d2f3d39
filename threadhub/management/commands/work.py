"""`manage.py work`: one worker process. Any number of them may run, on any machine that reaches the database."""

import asyncio
import contextlib
import signal
from argparse import SUPPRESS
from typing import Any

from django.conf import settings
from django.core.management.base import CommandError, CommandParser

from threadhub.isolation import scope
from threadhub.isolation.scope import Door
from threadhub.launch import installation, lifeline
from threadhub.management.command import HubCommand
from threadhub.worker import run_worker

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Command(HubCommand):
    help = "Execute runs and upkeep until SIGTERM or Ctrl-C; runs then have ten seconds to end."
    door = Door.UPKEEP

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--concurrency", type=int, default=settings.WORKER_CONCURRENCY, help="Runs at a time (default %(default)s)."
        )
        parser.add_argument(
            "--lifeline", dest="with_lifeline", action="store_true", help=SUPPRESS
        )  # ends with its standard input

    def execute(self, *args: Any, **options: Any) -> str | None:
        installation.check_version()  # a wrong DATABASE_URL is said at once; later faults are waited out
        return super().execute(*args, **options)

    def handle(self, *args: Any, concurrency: int, with_lifeline: bool, **options: Any) -> None:
        if concurrency < 1:
            raise CommandError("--concurrency must be at least 1.")
        with scope.nowhere():  # each job enters what it works for
            asyncio.run(_until_stopped(concurrency=concurrency, with_lifeline=with_lifeline))


async def _until_stopped(*, concurrency: int, with_lifeline: bool) -> None:
    work = asyncio.create_task(run_worker(concurrency=concurrency))
    stopping = False

    def stop() -> None:
        nonlocal stopping
        if not stopping:  # a second signal must not cut the time that runs have to end
            stopping = True
            work.cancel()

    for number in STOP_SIGNALS:
        asyncio.get_running_loop().add_signal_handler(number, stop)
    if with_lifeline:
        lifeline.hold()
    with contextlib.suppress(asyncio.CancelledError):
        await work
