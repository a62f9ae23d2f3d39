"""A light client: a few connections that ask one thing after the other, and what it cost the other side."""

import asyncio
import os
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from tests.bench.million.serving import Server
from tests.processes import PROC, Process

LENGTH = re.compile(rb"content-length: (\d+)", re.IGNORECASE)
TICK_MS = 1000 / os.sysconf("SC_CLK_TCK")


class Failed(Exception):
    """An answer was not what was asked for: figures of errors are worth nothing."""


@dataclass(frozen=True, slots=True)
class Round:
    """Figures of one round; CPU in milliseconds per request."""

    per_second: float
    p50_ms: float
    p99_ms: float
    web_cpu_ms: float
    postgres_cpu_ms: float


def run(server: Server, asked: Iterator[bytes], *, connections: int, seconds: float) -> Round:
    """Ask for so long. Raises Failed for any answer that is not 2xx."""
    web, postgres = cpu_of(server.web()), cpu_of(server.postgres())
    began = time.perf_counter()
    until = began + seconds
    times = ask(server.port, asked, connections=connections, going=lambda: time.perf_counter() < until)
    took = time.perf_counter() - began
    web, postgres = cpu_of(server.web()) - web, cpu_of(server.postgres()) - postgres
    times.sort()
    return Round(
        per_second=len(times) / took,
        p50_ms=times[len(times) // 2] * 1000,
        p99_ms=times[min(len(times) - 1, int(len(times) * 0.99))] * 1000,
        web_cpu_ms=web / len(times),
        postgres_cpu_ms=postgres / len(times),
    )


def ask(
    port: int, asked: Iterator[bytes], *, connections: int, going: Callable[[], bool], pause: float = 0.0
) -> list[float]:
    """Seconds of each answer; `pause`: seconds between an answer and the next question. Raises Failed."""
    return asyncio.run(_ask(port, asked, connections, going, pause))


async def _ask(
    port: int, asked: Iterator[bytes], connections: int, going: Callable[[], bool], pause: float
) -> list[float]:
    loop = asyncio.get_running_loop()
    everyone = []
    for _ in range(connections):
        _, one = await loop.create_connection(lambda: _Connection(asked, going, loop, pause), "127.0.0.1", port)
        everyone.append(one)
    await asyncio.gather(*(one.over for one in everyone))
    return [took for one in everyone for took in one.times]


@dataclass
class _Connection(asyncio.Protocol):
    asked: Iterator[bytes]
    going: Callable[[], bool]
    loop: asyncio.AbstractEventLoop
    pause: float
    times: list[float] = field(default_factory=list)
    got: bytearray = field(default_factory=bytearray)
    whole: int = 0  # bytes of the answer that is coming; 0 before its head is there
    sent: float = 0.0

    def __post_init__(self) -> None:
        self.over: asyncio.Future[None] = self.loop.create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.WriteTransport)
        self.transport = transport
        self._next()

    def data_received(self, data: bytes) -> None:
        self.got += data
        if not self.whole:
            end = self.got.find(b"\r\n\r\n")
            if end < 0:
                return
            head = bytes(self.got[:end])
            length = LENGTH.search(head)
            if not head.startswith(b"HTTP/1.1 2") or length is None:
                self._fail(Failed(bytes(self.got[:600]).decode(errors="replace")))
                return
            self.whole = end + 4 + int(length[1])
        if len(self.got) >= self.whole:
            self.times.append(time.perf_counter() - self.sent)
            self.got.clear()
            self.whole = 0
            if self.pause:
                self.loop.call_later(self.pause, self._next)
            else:
                self._next()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.over.done():
            self.over.set_exception(exc or Failed("The server closed the connection."))

    def _next(self) -> None:
        if self.over.done():  # closed during the pause
            return
        if self.going():
            self.sent = time.perf_counter()
            self.transport.write(next(self.asked))
        else:
            self.over.set_result(None)
            self.transport.close()

    def _fail(self, error: Failed) -> None:
        if not self.over.done():
            self.over.set_exception(error)
        self.transport.close()


def cpu_of(processes: set[Process]) -> float:
    """Milliseconds of CPU, user and system, that these have used so far, their ended children included."""
    used = 0
    for process in processes:
        try:
            fields = (PROC / str(process.pid) / "stat").read_text().rpartition(") ")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        used += sum(int(each) for each in fields[11:15])
    return used * TICK_MS
