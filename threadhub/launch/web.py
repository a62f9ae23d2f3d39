"""The web server as `up` starts it: `python -m threadhub.launch.web --host 127.0.0.1 --port 8000`.

The same as this line, which production uses, and besides it ends with its parent process:

    granian --interface asgi --no-ws --backlog 2048 --backpressure 4096 --respawn-failed-workers
        --workers-kill-timeout 30 threadhub.asgi:application

Each open stream counts as a request in progress, of which granian lets in no more than its backpressure; its own
default of 1,024, divided by the number of workers, would leave the next reader waiting.
"""

import argparse
import logging

from granian.constants import Interfaces
from granian.log import LogLevels
from granian.server import Server

from threadhub.launch import lifeline

BACKLOG = 2048
BACKPRESSURE = 4096
KILL_SECONDS = 2  # for streams that are still open; less than the supervisor's patience


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--workers", type=int, default=1)
    options = parser.parse_args()
    lifeline.hold()
    logging.raiseExceptions = False  # a terminal that is gone must not fill the log with its absence
    Server(
        "threadhub.asgi:application",
        address=options.host,
        port=options.port,
        workers=options.workers,
        interface=Interfaces.ASGI,
        websockets=False,
        respawn_failed_workers=True,
        workers_kill_timeout=KILL_SECONDS,
        backlog=BACKLOG,
        backpressure=BACKPRESSURE,
        log_level=LogLevels.warning,
    ).serve()


if __name__ == "__main__":
    main()
