"""What waits for a run, or streams it: where its view is called, and what becomes of it when its reader leaves."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextvars import ContextVar
from typing import Any
from uuid import uuid4

import pytest
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase

from threadhub.api import streaming
from threadhub.api.streaming import AfterRun, RunStream, awaiting
from threadhub.handler import Handler
from threadhub.lib.few_at_a_time import FewAtATime
from threads.models import Run

SECONDS = 10.0
said: ContextVar[str] = ContextVar("said", default="")


@pytest.fixture(autouse=True)
def nobody_comes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streaming, "BACK_SECONDS", 0.05)


@pytest.fixture
def request_here() -> HttpRequest:
    """As the hub's own handler hands it on."""
    request = HttpRequest()
    vars(request)[streaming.BEGINNING] = FewAtATime(3, "begin")
    return request


class Left:
    """Remembers that somebody was told of a reader who left."""

    def __init__(self) -> None:
        self.told = threading.Event()

    def __call__(self) -> None:
        self.told.set()


async def no_frames() -> AsyncIterator[bytes]:
    for _ in ():
        yield b""


def answers(left: Left) -> Iterator[Callable[[], HttpResponseBase]]:
    run = Run(id=uuid4(), workspace_id=uuid4())
    yield lambda: AfterRun(run, lambda _: HttpResponse(), when_left=left)
    yield lambda: RunStream(run, no_frames(), left)


async def leave_while_it_begins(request: HttpRequest, answer: Callable[[], HttpResponseBase]) -> None:
    """Ask, and go while the view is at work, which then answers."""
    begun, go_on = threading.Event(), threading.Event()

    def view(_: HttpRequest) -> HttpResponseBase:
        begun.set()
        assert go_on.wait(SECONDS)
        return answer()

    asking = asyncio.create_task(awaiting(view)(request))
    await asyncio.to_thread(begun.wait, SECONDS)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    go_on.set()


@pytest.mark.parametrize("kind", [0, 1])
def test_who_leaves_while_it_begins_has_left(request_here: HttpRequest, kind: int) -> None:
    left, told_before = Left(), list[bool]()
    make = list(answers(left))[kind]

    def answer() -> HttpResponseBase:
        told_before.append(left.told.is_set())
        return make()

    async def ask_and_leave() -> None:
        await leave_while_it_begins(request_here, answer)
        assert await asyncio.to_thread(left.told.wait, SECONDS)

    asyncio.run(ask_and_leave())
    assert told_before == [False]


def test_who_leaves_before_it_begins_has_not_asked(request_here: HttpRequest) -> None:
    go_on, asked = threading.Event(), list[HttpRequest]()

    def wait(_: HttpRequest) -> HttpResponseBase:
        assert go_on.wait(SECONDS)
        return HttpResponse()

    async def ask_and_leave() -> None:
        before = [asyncio.create_task(awaiting(wait)(request_here)) for _ in range(3)]
        asking = asyncio.create_task(awaiting(asked.append)(request_here))  # type: ignore[arg-type]
        await asyncio.sleep(0.2)
        asking.cancel()
        await asyncio.wait({asking})
        go_on.set()
        await asyncio.gather(*before)
        await awaiting(lambda _: HttpResponse())(request_here)  # whatever stood in line before it has had its turn

    asyncio.run(ask_and_leave())
    assert not asked


def test_who_comes_back_soon_has_not_left(request_here: HttpRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """A client that was cut off asks again under the same Idempotency-Key: its run is not to be cancelled before."""
    monkeypatch.setattr(streaming, "BACK_SECONDS", 0.5)
    left = Left()
    make = next(answers(left))

    async def ask_and_leave() -> None:
        await leave_while_it_begins(request_here, make)
        await asyncio.sleep(0.2)
        assert not left.told.is_set()
        assert await asyncio.to_thread(left.told.wait, SECONDS)

    asyncio.run(ask_and_leave())


def test_the_place_of_a_reader_who_left_is_free(request_here: HttpRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    freed = threading.Event()
    monkeypatch.setattr(streaming.throttling, "leave_place", lambda _: freed.set())

    async def ask_and_leave() -> None:
        await leave_while_it_begins(request_here, HttpResponse)
        assert await asyncio.to_thread(freed.wait, SECONDS)

    asyncio.run(ask_and_leave())


def test_a_view_that_fails_after_its_reader_has_left_is_in_the_log(
    request_here: HttpRequest, caplog: pytest.LogCaptureFixture
) -> None:
    def fail() -> HttpResponseBase:
        raise LookupError

    async def ask_and_leave() -> None:
        await leave_while_it_begins(request_here, fail)
        await asyncio.sleep(0.2)

    asyncio.run(ask_and_leave())
    assert [each.message for each in caplog.records] == ["a view failed whose reader had left"]


def test_a_view_that_fails_is_heard_of(request_here: HttpRequest) -> None:
    def view(_: HttpRequest) -> HttpResponseBase:
        raise LookupError

    with pytest.raises(LookupError):
        asyncio.run(awaiting(view)(request_here))


def test_what_a_view_says_of_its_request_holds_for_what_follows(request_here: HttpRequest) -> None:
    def view(_: HttpRequest) -> HttpResponseBase:
        assert said.get() == "before"
        said.set("by the view")
        return HttpResponse()

    async def ask() -> tuple[str, str]:
        said.set("before")
        await awaiting(view)(request_here)
        other: str = await asyncio.to_thread(said.get)
        return said.get(), other

    assert asyncio.run(ask()) == ("by the view", "by the view")


@pytest.mark.parametrize("size", [1, 3])
def test_no_more_begin_at_once_than_the_pool_has_connections(settings: Any, size: int) -> None:
    settings.DATABASE_POOL_SIZE = size
    handler, at_once, most, lock = Handler(), 0, 0, threading.Lock()
    enough = threading.Event()

    def view(_: HttpRequest) -> HttpResponseBase:
        nonlocal at_once, most
        with lock:
            at_once += 1
            most = max(most, at_once)
            if at_once == size:
                enough.set()
        assert enough.wait(SECONDS)
        with lock:
            at_once -= 1
        return HttpResponse()

    async def ask() -> None:
        request = HttpRequest()
        vars(request)[streaming.BEGINNING] = handler.beginning
        await asyncio.gather(*(awaiting(view)(request) for _ in range(30)))

    asyncio.run(ask())
    assert most == size


class Served:
    """One request to the handler, whose view is `view`; what it sent."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, view: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.sent: list[dict[str, Any]] = []
        self.left = asyncio.Event()
        self.handler = Handler()
        monkeypatch.setattr(self.handler, "get_response_async", awaiting(view))

    async def receive(self) -> dict[str, Any]:
        if not self.left.is_set() and not hasattr(self, "asked"):
            self.asked = True
            return {"type": "http.request", "body": b"{}", "more_body": False}
        await self.left.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Any) -> None:
        self.sent.append(dict(message))

    async def answer(self) -> None:
        scope = {
            "type": "http",
            "path": "/",
            "method": "POST",
            "headers": [],
            "query_string": b"",
            "http_version": "1.1",
        }
        await self.handler.handle(scope, self.receive, self.send)


def test_an_answer_is_sent_and_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    closed: list[str] = []

    def view(request: HttpRequest) -> HttpResponseBase:
        assert threading.current_thread().name.startswith("begin")
        response = HttpResponse(request.body)
        vars(response)["_resource_closers"].append(lambda: closed.append("closed"))
        return response

    async def serve() -> Served:
        served = Served(monkeypatch, view)
        await served.answer()
        return served

    served = asyncio.run(serve())
    assert served.sent[0]["status"] == 200
    assert served.sent[1]["body"] == b"{}"
    assert closed == ["closed"]


def test_one_who_leaves_ends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    ended = asyncio.Event()

    async def frames() -> AsyncIterator[bytes]:
        try:
            yield b"first"
            await asyncio.sleep(SECONDS)
        finally:
            ended.set()

    def view(_: HttpRequest) -> HttpResponseBase:
        return RunStream(Run(id=uuid4(), workspace_id=uuid4()), frames(), None)

    async def serve() -> Served:
        served = Served(monkeypatch, view)
        answering = asyncio.create_task(served.answer())
        while len(served.sent) < 2:
            await asyncio.sleep(0.01)
        served.left.set()
        await asyncio.wait_for(answering, SECONDS)
        return served

    served = asyncio.run(serve())
    assert ended.is_set()
    assert [each.get("body") for each in served.sent] == [None, b"first"]


def test_a_body_that_is_still_to_be_read_stays_open(monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[bytes] = []
    go_on, done = threading.Event(), threading.Event()

    def view(request: HttpRequest) -> HttpResponseBase:
        assert go_on.wait(SECONDS)
        read.append(request.read())
        done.set()
        return HttpResponse()

    async def serve() -> None:
        served = Served(monkeypatch, view)
        answering = asyncio.create_task(served.answer())
        await asyncio.sleep(0.1)
        served.left.set()
        await asyncio.wait_for(answering, SECONDS)
        go_on.set()
        assert await asyncio.to_thread(done.wait, SECONDS)

    asyncio.run(serve())
    assert read == [b"{}"]


def test_a_fault_of_the_hub_is_not_kept_quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    def view(_: HttpRequest) -> HttpResponseBase:
        raise AssertionError("nobody expects this")

    async def serve() -> None:
        await Served(monkeypatch, view).answer()

    with pytest.raises(AssertionError, match="nobody expects this"):
        asyncio.run(serve())
