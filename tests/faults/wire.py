"""Many requests at once, cheap enough for two hundred readers: HTTP/1.1 by hand, one connection each."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

STREAM = {"Accept": "text/event-stream"}
PING = b": ping"
SECONDS = 300.0  # the last of two hundred who wait their turn, on a busy machine


@dataclass(frozen=True)
class Answer:
    """A whole response; header names in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def frames(self) -> list[bytes]:
        """Its server-sent events, without pings."""
        return [frame for frame in self.body.split(b"\n\n") if frame and not frame.startswith(PING)]


class Response:
    """A response whose head is there; its body is read piece by piece, or left."""

    def __init__(self, status: int, headers: dict[str, str], reader: asyncio.StreamReader) -> None:
        self.status = status
        self.headers = headers
        self._reader = reader
        self._buffer = b""

    async def pieces(self) -> AsyncIterator[bytes]:
        """The body as it comes. A connection that is cut just ends it."""
        if "chunked" not in self.headers.get("transfer-encoding", ""):
            length = self.headers.get("content-length")
            yield await (self._reader.readexactly(int(length)) if length else self._reader.read())
            return
        try:
            while size := int(await self._reader.readline() or b"0", 16):
                yield (await self._reader.readexactly(size + 2))[:-2]
        except (asyncio.IncompleteReadError, ConnectionError, ValueError):
            return

    async def frames(self) -> AsyncIterator[bytes]:
        """Its server-sent events one by one, without pings; what was cut in the middle is not told."""
        async for piece in self.pieces():
            *whole, self._buffer = (self._buffer + piece).split(b"\n\n")
            for frame in whole:
                if not frame.startswith(PING):
                    yield frame


@asynccontextmanager
async def opened(
    port: int, method: str, path: str, *, token: str, body: Any = None, headers: dict[str, str] | None = None
) -> AsyncIterator[Response]:
    """One request; leaving the `with` closes its connection, whatever is still to come."""
    content = b"" if body is None else json.dumps(body).encode()
    lines = {
        "Host": f"127.0.0.1:{port}",
        "Authorization": f"Bearer {token}",
        "Connection": "close",
        "Content-Type": "application/json",
        "Content-Length": str(len(content)),
        **(headers or {}),
    }
    head = f"{method} {path} HTTP/1.1\r\n" + "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=2**20)
    try:
        async with asyncio.timeout(SECONDS):
            writer.write(head.encode() + b"\r\n" + content)
            await writer.drain()
            first, *rest = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").strip().split("\r\n")
            found = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in rest)}
            yield Response(int(first.split()[1]), found, reader)
    finally:
        writer.close()


async def fetch(
    port: int, method: str, path: str, *, token: str, body: Any = None, headers: dict[str, str] | None = None
) -> Answer:
    """One request and its whole response."""
    async with opened(port, method, path, token=token, body=body, headers=headers) as response:
        whole = b"".join([piece async for piece in response.pieces()])
        return Answer(response.status, response.headers, whole)


async def frames_of(response: Response, number: int | None = None) -> list[bytes]:
    """The first frames of a stream, or all."""
    frames: list[bytes] = []
    async for frame in response.frames():
        frames.append(frame)
        if len(frames) == number:
            break
    return frames
