"""`manage.py up`: everything for a first look, from an empty directory to a hub that answers."""

import contextlib
import os
import sys
from dataclasses import asdict
from typing import Any

from django.conf import settings
from django.core.management.base import CommandParser
from django.db import connection

from threadhub.agents.providers import detect
from threadhub.launch import first_start, installation
from threadhub.launch.address import Address
from threadhub.launch.first_start import FirstStart
from threadhub.launch.readiness import until_ready
from threadhub.launch.supervisor import Stopped, Supervisor, stopped_by_signals
from threadhub.launch.welcome import Welcome
from threadhub.management.command import HubCommand


class Command(HubCommand):
    help = "Start the database, the web server and a worker; make a demo workspace on the first start. Ctrl-C ends it."
    only_looks = True  # there may be no tables yet; what it makes is recorded as it is made
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--host", default="127.0.0.1", help="Address to listen on (default %(default)s).")
        parser.add_argument("--port", default="8000", help="Port to listen on; 0: any free one (default %(default)s).")
        parser.add_argument("--workers", type=int, default=1, help="Web processes (default %(default)s).")
        parser.add_argument("--json", action="store_true", help="Print one line of JSON when ready, nothing else.")

    def handle(self, *args: Any, host: str, port: str, workers: int, json: bool, **options: Any) -> None:
        out = self.stderr if json else self.stdout
        try:
            with stopped_by_signals():
                address = Address.free(host, port)
                first, sentence, public_key = _prepare(address)
                out.write(f"{sentence}\n", style_func=str)
                out.flush()
                with Supervisor() as supervisor:
                    _start(supervisor, address, workers)
                    until_ready(address, check=supervisor.check)
                    connection.close()
                    welcome = Welcome(url=address.url, public_key=public_key, **asdict(first))
                    self._greet(welcome, json)
                    supervisor.wait()
        except Stopped:
            with contextlib.suppress(OSError):  # after SIGHUP the terminal is gone
                out.write("Stopped.", style_func=str)

    def _greet(self, welcome: Welcome, json: bool) -> None:
        self.stdout.write(welcome.as_json() if json else f"{welcome.as_text()}\n\nCtrl-C ends all of it.")
        self.stdout.flush()


def _prepare(address: Address) -> tuple[FirstStart, str, str | None]:
    """A database with every table and the demo workspace; which provider answers, as a sentence; the public key of an
    agent with a chat page."""
    detected = detect(os.environ)
    installation.check_version()
    with installation.alone():
        installation.migrate()
        first = first_start.ensure(settings.DATA_DIR, detected)
        first, sentence = first_start.follow_environment(settings.DATA_DIR, first, detected)
        return first, sentence, first_start.open_chat_page(first, address.origins)


def _start(supervisor: Supervisor, address: Address, workers: int) -> None:
    environment = {**os.environ, "ALLOWED_HOSTS": ",".join(address.allowed_hosts(settings.ALLOWED_HOSTS))}
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, [str(settings.BASE_DIR), os.environ.get("PYTHONPATH")]))
    where = ["--host", address.ip, "--port", str(address.port), "--workers", str(workers)]
    supervisor.start("web server", [sys.executable, "-m", "threadhub.launch.web", *where], environment=environment)
    manage = str(settings.BASE_DIR / "manage.py")
    supervisor.start("worker", [sys.executable, manage, "work", "--lifeline"], environment=environment)
