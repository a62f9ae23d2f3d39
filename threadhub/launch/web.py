"""The web server as `up` starts it: `python -m threadhub.launch.web --host 127.0.0.1 --port 8000`.

The same as this line, which production uses, and besides it ends with its parent process:

    granian --interface asgi --no-ws --workers-kill-timeout 15 threadhub.asgi:application
"""

import argparse
import logging

from granian.constants import Interfaces
from granian.log import LogLevels
from granian.server import Server

from threadhub.launch import lifeline

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
        log_level=LogLevels.warning,
    ).serve()


if __name__ == "__main__":
    main()
