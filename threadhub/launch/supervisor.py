"""Processes that live and end with this one: started together, watched, started again when one is killed, ended in
order, killed when they refuse."""

import contextlib
import logging
import os
import signal
import subprocess
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import FrameType, TracebackType
from typing import NoReturn, Self

from threadhub.lib.errors import Failed

GRACE_SECONDS = 15.0  # from the first SIGTERM on, for all children together
LEAST_SECONDS = 3.0  # of them, for each that is ended later
POLL_SECONDS = 0.05
RESTARTS = 5  # of one child within RESTART_SECONDS; one that ends more often has a fault that no start mends
RESTART_SECONDS = 60.0
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


logger = logging.getLogger(__name__)


class ChildEnded(Failed):
    """A process that should go on has ended."""

    code = "child_ended"


class Stopped(BaseException):
    """A signal asked this process to end. Not an Exception: nothing on the way may take it for a failure."""


@dataclass(slots=True)
class Child:
    """One child process, the leader of its own group: the terminal's Ctrl-C does not reach it, its own children do not
    outlive it. What it prints goes to this process's stderr, its stdin is a lifeline (lifeline.py)."""

    name: str
    command: Sequence[str]
    environment: Mapping[str, str]
    process: subprocess.Popen[bytes] = field(init=False)
    restarted: deque[float] = field(default_factory=lambda: deque(maxlen=RESTARTS))  # by the monotonic clock

    def start(self) -> None:
        self.process = subprocess.Popen(
            self.command,
            stdin=subprocess.PIPE,
            stdout=2,
            stderr=2,
            env=dict(self.environment),
            start_new_session=True,
        )

    def may_restart(self) -> bool:
        """Whether it has not been started again too often of late."""
        full = len(self.restarted) == RESTARTS
        return not full or time.monotonic() - self.restarted[0] > RESTART_SECONDS

    def restart(self) -> None:
        """In place of the one that has ended, whose own children must not keep its port or its runs."""
        self.bury()
        self.restarted.append(time.monotonic())
        self.start()

    def bury(self) -> None:
        """Kill what is left of it."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        if self.process.stdin:
            self.process.stdin.close()

    @property
    def exit_sentence(self) -> str:
        status = self.process.returncode
        how = f"was killed by signal {-status}" if status < 0 else f"ended with exit status {status}"
        return f"The {self.name} {how}."


class Supervisor:
    """The children of this process. Leaving the `with` ends all of them."""

    def __init__(self) -> None:
        self._children: list[Child] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end()

    def start(self, name: str, command: Sequence[str], *, environment: Mapping[str, str]) -> None:
        child = Child(name, command, environment)
        child.start()
        self._children.append(child)

    def check(self) -> None:
        """Raises ChildEnded, with a sentence, when a child has ended by itself."""
        for child in self._children:
            if child.process.poll() is not None:
                raise ChildEnded(f"{child.exit_sentence} The rest is ended too.")

    def wait(self) -> NoReturn:
        """Watch for ever, and start a child again that has ended by itself. Raises ChildEnded for one that ends more
        than RESTARTS times within RESTART_SECONDS."""
        while True:
            for child in self._children:
                if child.process.poll() is not None:
                    self._start_again(child)
            time.sleep(POLL_SECONDS)

    def _start_again(self, child: Child) -> None:
        if not child.may_restart():
            raise ChildEnded(f"{child.exit_sentence} It ends again and again, so the rest is ended too.")
        logger.warning("%s It is started again.", child.exit_sentence)
        child.restart()

    def end(self) -> None:
        """SIGTERM to one child after the other, the last started first; SIGKILL to what is left after the grace time.

        In this order the web server is still there to tell its readers how the worker ended their runs.
        """
        deadline = time.monotonic() + GRACE_SECONDS
        for child in reversed(self._children):
            if child.process.poll() is None:
                child.process.terminate()
            patience = max(LEAST_SECONDS, deadline - time.monotonic() - LEAST_SECONDS * self._children.index(child))
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.process.wait(patience)
            child.bury()
        self._children.clear()


@contextlib.contextmanager
def stopped_by_signals() -> Iterator[None]:
    """Inside, SIGINT, SIGTERM and SIGHUP raise Stopped, once: a second one does not disturb the ending.

    A SIGHUP that was ignored from the start (nohup) stays ignored.
    """

    def stop(number: int, frame: FrameType | None) -> None:
        for each in STOP_SIGNALS:
            signal.signal(each, signal.SIG_IGN)
        raise Stopped

    for number in STOP_SIGNALS:
        if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, stop)
    yield
