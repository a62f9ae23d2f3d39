"""What somebody else does meanwhile, on a connection of their own."""

import threading
import time
from collections.abc import Callable
from typing import Any

from django.db import connection, connections

SECONDS = 30
WAITING = """
SELECT EXISTS (SELECT FROM pg_locks JOIN pg_stat_activity USING (pid)
                WHERE NOT granted AND datname = current_database() AND pid <> pg_backend_pid())
"""


class Elsewhere:
    """Something done on a connection of its own; `end` gives what it raised."""

    def __init__(self, act: Callable[[], Any]) -> None:
        self.act = act
        self.raised: Exception | None = None
        self.thread = threading.Thread(target=self._run)

    def begin(self) -> None:
        self.thread.start()

    def wait_until_it_waits(self) -> None:
        deadline = time.monotonic() + SECONDS
        while time.monotonic() < deadline:
            with connection.cursor() as cursor:
                cursor.execute(WAITING)
                if cursor.fetchone()[0]:
                    return
        raise AssertionError("nobody waits")

    def end(self) -> Exception | None:
        self.thread.join(SECONDS)
        assert not self.thread.is_alive()
        return self.raised

    def _run(self) -> None:
        try:
            self.act()
        except Exception as error:  # noqa: BLE001  it is for `end`
            self.raised = error
        finally:
            connections.close_all()
