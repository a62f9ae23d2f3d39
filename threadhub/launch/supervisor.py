"""Processes that live and end with this one: started together, watched, ended in order, killed when they refuse."""

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import FrameType, TracebackType
from typing import NoReturn, Self

from threadhub.lib.errors import Failed

GRACE_SECONDS = 15.0  # from the first SIGTERM on, for all children together
LEAST_SECONDS = 3.0  # of them, for each that is ended later
POLL_SECONDS = 0.05
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class ChildEnded(Failed):
    """A process that should go on has ended."""

    code = "child_ended"


class Stopped(BaseException):
    """A signal asked this process to end. Not an Exception: nothing on the way may take it for a failure."""


@dataclass(frozen=True, slots=True)
class Child:
    """One child process, the leader of its own group: the terminal's Ctrl-C does not reach it, its own children do not
    outlive it."""

    name: str
    process: subprocess.Popen[bytes]

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
        """Start `command`; what it prints goes to this process's stderr, its stdin is a lifeline (lifeline.py)."""
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=2, stderr=2, env=dict(environment), start_new_session=True
        )
        self._children.append(Child(name, process))

    def check(self) -> None:
        """Raises ChildEnded, with a sentence, when a child has ended by itself."""
        for child in self._children:
            if child.process.poll() is not None:
                raise ChildEnded(f"{child.exit_sentence} The rest is ended too.")

    def wait(self) -> NoReturn:
        """Until a child ends, which none should do by itself: raises ChildEnded."""
        while True:
            self.check()
            time.sleep(POLL_SECONDS)

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
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(child.process.pid, signal.SIGKILL)
            child.process.wait()
            if child.process.stdin:
                child.process.stdin.close()
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
