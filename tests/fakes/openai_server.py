"""A server that speaks OpenAI's chat completions and misbehaves on command.

    with FakeOpenAI() as server:
        server.will(answer("Hello ", "there"), status(429, retry_after=3))
        …  # point a provider, or a whole product, at server.base_url
        assert server.requests[0].body["messages"] == […]

It is a real HTTP server on 127.0.0.1, in a thread of its own, so it serves any process of this machine. Each
POST takes the next scripted reply; when none is left, it takes what `otherwise` makes of the request, at first
`answer("Hello from the fake model.")`. A reply is a list of actions, so that every fault there is on a wire can
be put at any point of it:

    Send(bytes)    these bytes, as one HTTP chunk
    Wait(seconds)  silence
    Hold(event)    silence until the test sets the event
    Hang()         silence until the client goes away
    Flood(bytes)   these bytes again and again until the client goes away
    Reset()        a TCP reset
    End()          the response's proper end; the connection may serve another request

When the actions run out without an End, the connection just closes.
"""

from __future__ import annotations

import asyncio
import json
import socket
import struct
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeAlias

START_SECONDS = 10.0


@dataclass(frozen=True)
class Send:
    data: bytes


@dataclass(frozen=True)
class Wait:
    seconds: float


@dataclass(frozen=True)
class Hold:
    event: threading.Event


@dataclass(frozen=True)
class Flood:
    data: bytes


@dataclass(frozen=True)
class Hang:
    pass


@dataclass(frozen=True)
class Reset:
    pass


@dataclass(frozen=True)
class End:
    pass


Action: TypeAlias = Send | Wait | Hold | Flood | Hang | Reset | End


@dataclass(frozen=True)
class Reply:
    """What is sent for one request. Without `chunked`, the body ends where the connection ends."""

    actions: tuple[Action, ...]
    status: int = 200
    headers: tuple[tuple[str, str], ...] = (("content-type", "text/event-stream"),)
    chunked: bool = True


@dataclass(frozen=True)
class Recorded:
    """One request as it came; `body` is its JSON."""

    method: str
    path: str
    headers: dict[str, str]
    body: Any


def event(payload: Any) -> Send:
    """One server-sent event; `payload` is JSON, or text to send as it is."""
    text = payload if isinstance(payload, str) else json.dumps(payload)
    return Send(f"data: {text}\n\n".encode())


def chunk(
    delta: dict[str, Any] | None = None, *, finish: str | None = None, usage: dict[str, Any] | None = None
) -> Send:
    """One `chat.completion.chunk`; one with only `usage` has no choices, as the vendor's."""
    only_usage = delta is None and finish is None
    choices = [] if only_usage else [{"index": 0, "delta": delta or {}, "finish_reason": finish}]
    body = {
        "id": "chatcmpl-fake",
        "object": "chat.completion.chunk",
        "created": 1767225600,
        "model": "fake-1",
    }
    return event({**body, "choices": choices, "usage": usage})


def usage(prompt: int, completion: int, cached: int = 0) -> dict[str, Any]:
    """Token counts in the vendor's form."""
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "prompt_tokens_details": {"cached_tokens": cached},
    }


DONE = event("[DONE]")


def answer(
    *pieces: str,
    finish: str = "stop",
    counted: dict[str, Any] | None = None,
    done: bool = True,
    pause: float = 0.0,
) -> Reply:
    """A whole good answer in these pieces: role, text, finish reason, usage if `counted`, `[DONE]`, end."""
    actions: list[Action] = [chunk({"role": "assistant", "content": ""})]
    for piece in pieces:
        if pause:
            actions.append(Wait(pause))
        actions.append(chunk({"content": piece}))
    actions.append(chunk(finish=finish))
    if counted is not None:
        actions.append(chunk(usage=counted))
    if done:
        actions.append(DONE)
    return Reply((*actions, End()))


def tool_calls(
    *calls: tuple[str, str, Any],
    text: str = "",
    size: int = 7,
    finish: str = "tool_calls",
    counted: dict[str, Any] | None = None,
) -> Reply:
    """An answer that asks for tools, each `(id, name, arguments)`, arguments in pieces of `size` characters.

    Arguments that are text are sent as they are: so they can be broken.
    """
    actions: list[Action] = [chunk({"role": "assistant", "content": text or None})]
    for index, (call_id, name, arguments) in enumerate(calls):
        whole = arguments if isinstance(arguments, str) else json.dumps(arguments)
        head = {
            "index": index,
            "id": call_id,
            "type": "function",
            "function": {"name": name, "arguments": ""},
        }
        actions.append(chunk({"tool_calls": [head]}))
        for start in range(0, len(whole), size):
            piece = {"index": index, "function": {"arguments": whole[start : start + size]}}
            actions.append(chunk({"tool_calls": [piece]}))
    return Reply((*actions, chunk(finish=finish), chunk(usage=counted or usage(20, 8)), DONE, End()))


def strict(request: Recorded) -> Reply:
    """For `otherwise`: as the vendor, a good answer only where each message that asks for tools is followed at once by
    the result of each of its calls, and no other result stands anywhere."""
    open_calls: set[str] = set()
    for message in request.body["messages"]:
        if message["role"] == "tool":
            if message["tool_call_id"] not in open_calls:
                return status(400)
            open_calls.remove(message["tool_call_id"])
        elif open_calls:
            return status(400)
        open_calls |= {call["id"] for call in message.get("tool_calls") or []}
    return status(400) if open_calls else answer("All in order.")


def status(
    code: int,
    *,
    retry_after: float | None = None,
    error: dict[str, Any] | None = None,
    body: bytes | None = None,
) -> Reply:
    """An error answer with the vendor's body, or any other."""
    headers = [("content-type", "application/json")]
    if retry_after is not None:
        headers.append(("retry-after", str(retry_after)))
    default = {"message": f"made-up failure {code}", "type": "fake_error", "code": None, "param": None}
    sent = body if body is not None else json.dumps({"error": error or default}).encode()
    return Reply((Send(sent), End()), status=code, headers=tuple(headers))


def actions(*steps: Action, chunked: bool = True) -> Reply:
    """A 200 event stream of exactly these actions."""
    return Reply(steps, chunked=chunked)


@dataclass
class FakeOpenAI:
    """See the module. `connections` counts those ever opened, `left` the clients gone in mid-reply."""

    requests: list[Recorded] = field(default_factory=list)
    otherwise: Callable[[Recorded], Reply] = lambda _request: answer("Hello from the fake model.")
    connections: int = 0
    left: int = 0
    _script: deque[Reply] = field(default_factory=deque)
    _changed: threading.Condition = field(default_factory=threading.Condition)

    def __enter__(self) -> FakeOpenAI:
        ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve(ready)), daemon=True)
        self._thread.start()
        if not ready.wait(START_SECONDS):
            raise RuntimeError("the fake server did not start")
        return self

    def __exit__(self, *_exc: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(START_SECONDS)

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    def will(self, *replies: Reply) -> None:
        """Append to the script."""
        self._script.extend(replies)

    def wait_for_requests(self, number: int, seconds: float = 10.0) -> None:
        """Wait until so many requests have come; AssertionError when they do not."""
        self._wait(lambda: len(self.requests) >= number, f"{number} requests", seconds)

    def wait_for_leaving(self, number: int = 1, seconds: float = 10.0) -> None:
        """Wait until so many clients have gone away in mid-reply; AssertionError when they do not."""
        self._wait(lambda: self.left >= number, f"{number} clients leaving", seconds)

    def _wait(self, reached: Callable[[], bool], what: str, seconds: float) -> None:
        with self._changed:
            if not self._changed.wait_for(reached, seconds):
                raise AssertionError(f"the fake server did not see {what} within {seconds} s")

    def _note(self, change: Callable[[], None]) -> None:
        with self._changed:
            change()
            self._changed.notify_all()

    async def _serve(self, ready: threading.Event) -> None:
        self._loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        server = await asyncio.start_server(self._connection, "127.0.0.1", 0, limit=16 * 1024 * 1024)
        self.port: int = server.sockets[0].getsockname()[1]
        ready.set()
        await self._stop.wait()
        server.close()
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()
        await asyncio.sleep(0)

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while (request := await _read_request(reader)) is not None:
                self._note(lambda request=request: self.requests.append(request))
                if not await self._reply(request, reader, writer):
                    break
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    async def _reply(self, request: Recorded, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Play one reply, or as much as the client stays for; True when the connection may go on."""
        reply = self._chosen(request)
        writer.write(_head(reply))
        playing = asyncio.create_task(_play(reply, writer))
        leaving = asyncio.create_task(_left(reader))
        await asyncio.wait({playing, leaving}, return_when=asyncio.FIRST_COMPLETED)
        gone = not playing.done() or isinstance(playing.exception(), ConnectionError)
        playing.cancel()
        leaving.cancel()
        await asyncio.gather(playing, leaving, return_exceptions=True)
        if gone:
            self._note(lambda: setattr(self, "left", self.left + 1))
        return not gone and reply.chunked and bool(reply.actions) and isinstance(reply.actions[-1], End)

    def _chosen(self, request: Recorded) -> Reply:
        if request.method == "GET" and request.path.endswith("/models"):
            models = {"object": "list", "data": [{"id": "fake-1", "object": "model"}]}
            return Reply((Send(json.dumps(models).encode()), End()), headers=(("content-type", "application/json"),))
        return self._script.popleft() if self._script else self.otherwise(request)


async def _read_request(reader: asyncio.StreamReader) -> Recorded | None:
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    except asyncio.IncompleteReadError:
        return None
    first, *lines = head.strip().split("\r\n")
    method, path, _version = first.split(" ")
    headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return Recorded(method, path, headers, json.loads(body) if body else None)


def _head(reply: Reply) -> bytes:
    framing = ("transfer-encoding", "chunked") if reply.chunked else ("connection", "close")
    lines = [f"HTTP/1.1 {reply.status} Scripted", *(f"{k}: {v}" for k, v in (*reply.headers, framing))]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


async def _play(reply: Reply, writer: asyncio.StreamWriter) -> None:
    for action in reply.actions:
        match action:
            case Send(data):
                await _write(writer, data, reply.chunked)
            case Flood(data):
                while True:
                    await _write(writer, data, reply.chunked)
            case Wait(seconds):
                await asyncio.sleep(seconds)
            case Hold(event):
                while not event.is_set():
                    await asyncio.sleep(0.005)
            case Hang():
                await asyncio.Event().wait()
            case Reset():
                await writer.drain()
                # Linger for 0 s: the kernel answers with RST instead of an orderly end.
                linger = struct.pack("ii", 1, 0)
                writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                return
            case End():
                writer.write(b"0\r\n\r\n" if reply.chunked else b"")
                await writer.drain()


async def _write(writer: asyncio.StreamWriter, data: bytes, chunked: bool) -> None:
    writer.write(f"{len(data):x}\r\n".encode() + data + b"\r\n" if chunked else data)
    await writer.drain()


async def _left(reader: asyncio.StreamReader) -> None:
    """Return when the client has closed its side; reads nothing, for it may be the next request."""
    while not reader.at_eof() and reader.exception() is None:
        await asyncio.sleep(0.005)
