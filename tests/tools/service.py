"""A web service on 127.0.0.1 that does what a test tells it, byte by byte, and keeps what it was sent."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from threadhub.agents.tools.addresses import AllowedTargets
from threadhub.agents.tools.errors import ERRORS
from threadhub.agents.tools.guard import Guard
from threadhub.agents.tools.http_tool import HttpTool
from threadhub.agents.tools.output import ToolOutput
from threadhub.agents.tools.resolver import resolve

OK = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"
LOOPBACK = Guard(allowed=AllowedTargets.parse("127.0.0.0/8"))


@dataclass(frozen=True)
class Received:
    """One request as it came."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes


Reply = Callable[[Received, asyncio.StreamWriter], Awaitable[None]]


@dataclass
class Service:
    port: int = 0
    requests: list[Received] = field(default_factory=list)
    connections: int = 0
    left: asyncio.Event = field(default_factory=asyncio.Event)
    server_names: list[str | None] = field(default_factory=list)

    def url(self, path: str = "/", host: str = "127.0.0.1", scheme: str = "http") -> str:
        return f"{scheme}://{host}:{self.port}{path}"


@asynccontextmanager
async def service(reply: Reply, *, tls: ssl.SSLContext | None = None) -> AsyncIterator[Service]:
    """`async with service(reply) as it:` with `reply` writing the answer to each request."""
    state = Service()
    tasks: set[asyncio.Task[Any]] = set()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        state.connections += 1
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            with suppress(ConnectionError, asyncio.IncompleteReadError, ssl.SSLError, asyncio.CancelledError):
                await _serve(reader, writer, reply, state)
        finally:
            writer.close()

    if tls is not None:
        tls.sni_callback = lambda _socket, name, _context: state.server_names.append(name)  # type: ignore[assignment]
    server = await asyncio.start_server(handle, "127.0.0.1", 0, ssl=tls)
    state.port = server.sockets[0].getsockname()[1]
    try:
        yield state
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.sleep(0)  # transports close in the loop's next round


async def _serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, reply: Reply, state: Service) -> None:
    """One request, one answer, cut short when the client goes."""
    request = await _read(reader)
    state.requests.append(request)
    answering = asyncio.ensure_future(reply(request, writer))
    watching = asyncio.ensure_future(_gone(reader, state))
    try:
        await asyncio.wait({answering, watching}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        answering.cancel()
        watching.cancel()
        await asyncio.gather(answering, watching, return_exceptions=True)


async def _read(reader: asyncio.StreamReader) -> Received:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    first, *lines = head.strip().split("\r\n")
    method, target, _ = first.split(" ")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    body = await reader.readexactly(int(headers.get("content-length", 0)))
    return Received(method, target, headers, body)


async def _gone(reader: asyncio.StreamReader, state: Service) -> None:
    with suppress(ConnectionError, ssl.SSLError):
        await reader.read(1)
    state.left.set()


def answer(
    body: bytes = b"", *, status: int = 200, kind: str = "application/json", headers: dict[str, str] | None = None
) -> Reply:
    """A whole answer with its length."""

    async def reply(_request: Received, writer: asyncio.StreamWriter) -> None:
        lines = {"content-type": kind, "content-length": str(len(body)), "connection": "close", **(headers or {})}
        head = f"HTTP/1.1 {status} Status\r\n" + "".join(f"{name}: {value}\r\n" for name, value in lines.items())
        writer.write(head.encode("latin-1") + b"\r\n" + body)
        await writer.drain()

    return reply


def raw(*pieces: bytes, pause: float = 0.0) -> Reply:
    """These bytes, with a pause after each."""

    async def reply(_request: Received, writer: asyncio.StreamWriter) -> None:
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(pause)

    return reply


def redirect(location: str, status: int = 302) -> Reply:
    return answer(b"", status=status, headers={"location": location})


def naming(*names: str, allowed: str = "127.0.0.0/8", tls: ssl.SSLContext | None = None) -> Guard:
    """A guard whose resolver leads these names to 127.0.0.1 and all others where the system does."""

    async def resolver(host: str, port: int) -> list[str]:
        return ["127.0.0.1"] if host in names else list(await resolve(host, port))

    return Guard(allowed=AllowedTargets.parse(allowed), resolver=resolver, ssl_context=tls)


def ask(
    reply: Reply, arguments: dict[str, Any] | None = None, *, path: str = "/", guard: Guard = LOOPBACK, **options: Any
) -> tuple[ToolOutput, Service]:
    """Call a tool at a service that answers with `reply`."""

    async def run() -> tuple[ToolOutput, Service]:
        async with service(reply) as at:
            tool = HttpTool(at.url(path), **options)
            return await tool.call(arguments or {}, call_id="call_1", guard=guard), at

    return asyncio.run(run())


def refused(output: ToolOutput) -> str | None:
    """The code of a failure, which has a sentence of its own and nothing of the service's."""
    assert output.is_error == (output.error_code is not None)
    assert not output.is_error or (output.error_code in ERRORS and output.content["error"].endswith("."))
    return output.error_code
