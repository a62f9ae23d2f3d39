"""Answering with a run: as a stream of server-sent events, or as JSON once the run is over.

The view itself stays synchronous: it parses, starts the run and returns. What must wait happens after it, in the
event loop, with no thread and no database connection held.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AbstractAsyncContextManager
from contextvars import Context, copy_context
from dataclasses import dataclass
from functools import partial, update_wrapper
from typing import Any
from uuid import UUID

from asgiref.sync import sync_to_async
from django.db import close_old_connections
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.views.decorators.csrf import csrf_exempt

from chat_sessions.endings import ChatSessionEnded
from threadhub.api import errors, throttling
from threadhub.api.idempotency import REPLAYED
from threadhub.isolation import scope
from threadhub.lib.asynchronous import in_thread
from threadhub.lib.few_at_a_time import FewAtATime
from threads.models import Run
from threads.runs.events import StoredEvent
from threads.runs.feeds import Reader
from threads.runs.follow import reader, session_over, until_end

logger = logging.getLogger(__name__)

EVENT_STREAM = "text/event-stream"
PING = b": ping\n\n"
PING_SECONDS = 15.0
LEAST_PAUSE = 1.0  # seconds until a reader whose ping is still on its way is looked at again

Encode = Callable[[StoredEvent], bytes]
Leaving = Callable[[], object]  # what is done when the reader goes before the end

BACK_SECONDS = 2.0  # until one who was cut off while it began has asked again
BEGINNING = "threadhub_beginning"  # of a request: the threads in which its view is called

_leaving: set[asyncio.Task[object]] = set()  # asyncio itself keeps no task alive


class AfterRun(HttpResponse):
    """Stands for the JSON answer of a run that is still going on; `awaiting` replaces it by the real one."""

    def __init__(
        self,
        run: Run,
        render: Callable[[Run], HttpResponseBase],
        *,
        when_left: Leaving | None = None,
        session_id: UUID | None = None,
    ) -> None:
        super().__init__(status=500)
        self.session_id = session_id
        self.run = run
        self.render_run = render
        self.when_left = when_left

    async def settle(self) -> HttpResponseBase:
        """Wait for the run's end, then render it as it stands in the database. Raises ChatSessionEnded."""
        waiting = asyncio.ensure_future(_over(self.run))
        over = _session_over(self.session_id, self.run)
        try:
            await asyncio.wait({waiting, over} if over else {waiting}, return_when=asyncio.FIRST_COMPLETED)
            if not waiting.done():
                _leave(self.when_left, self.run)
                raise ChatSessionEnded
            waiting.result()
        except asyncio.CancelledError:
            _leave(self.when_left, self.run)
            raise
        finally:
            _cancel(waiting, over)
        with scope.within(self.run.workspace_id):
            response = await in_thread(self._render)()
        if REPLAYED in self:
            response[REPLAYED] = self[REPLAYED]
        return response

    def _render(self) -> HttpResponseBase:
        run = Run.objects.select_related("thread", "agent").filter(pk=self.run.pk).first()
        if run is None:
            return self.render_run(self.run)
        return self.render_run(run)


class RunStream(StreamingHttpResponse):
    """The events of a run, as they come."""

    def __init__(self, run: Run, frames: AsyncIterator[bytes], when_left: Leaving | None) -> None:
        super().__init__(frames, content_type=f"{EVENT_STREAM}; charset=utf-8")
        self.run = run
        self.when_left = when_left
        self["Cache-Control"] = "private, no-cache, no-transform"
        self["X-Accel-Buffering"] = "no"  # proxies must not hold events back


def accepts_stream(request: HttpRequest) -> bool:
    """Whether the Accept header names `text/event-stream`."""
    return EVENT_STREAM in request.headers.get("Accept", "").lower()


def last_event_id(request: HttpRequest) -> int:
    """The number of the last event the reader has, from the `Last-Event-ID` header; 0 where there is none."""
    text = request.headers.get("Last-Event-ID", "").strip()
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 0


@dataclass(frozen=True, slots=True)
class InSession:
    """A stream that a visitor reads, as long as their chat session lives; `ended(begun)` are the last frames after."""

    session_id: UUID
    ended: Callable[[bool], bytes]


def stream(
    run: Run,
    *,
    encode: Encode,
    closing: bytes = b"",
    after: int = 0,
    when_left: Leaving | None = None,
    session: InSession | None = None,
) -> RunStream:
    """The run's events from number `after` on, encoded one by one, then `closing`.

    A reader who goes changes nothing for the run, unless `when_left` says so. The end of a chat session is the end of
    its streams.
    """
    return RunStream(run, _frames(run, encode, closing, after, when_left, session), when_left)


async def _frames(
    run: Run, encode: Encode, closing: bytes, after: int, when_left: Leaving | None, session: InSession | None
) -> AsyncIterator[bytes]:
    over = _session_over(session.session_id if session else None, run)
    begun, pings = after > 0, None
    try:
        async with _reader(run, after) as events:
            if over:
                over.add_done_callback(lambda _: events.news.set())
            pings = Pings(events.news.set)
            while not events.ended:
                await events.news.wait()
                if session and over and over.done():
                    yield session.ended(begun)
                    return
                # Together, as far as they came together: each piece that is sent costs a reader more than its text.
                if frames := b"".join(encode(event) for event in events.take() if event.seq > after):
                    begun = True
                    yield frames
                    pings.sent()
                elif pings.due:
                    yield PING
                    pings.sent()
        when_left = None
        if closing:
            yield closing
    finally:
        if pings is not None:
            pings.stop()
        _cancel(over)
        _leave(when_left, run)


class Pings:
    """Says when a reader was sent nothing for PING_SECONDS. One timer for all that time: one for each event would be a
    sixth of what it costs to send it."""

    def __init__(self, wake: Callable[[], object]) -> None:
        self._loop = asyncio.get_running_loop()
        self._wake = wake
        self._timer = self._loop.call_later(PING_SECONDS, self._look)
        self.sent()

    def sent(self) -> None:
        self._due = self._loop.time() + PING_SECONDS

    @property
    def due(self) -> bool:
        return self._loop.time() >= self._due

    def stop(self) -> None:
        self._timer.cancel()

    def _look(self) -> None:
        if self.due:
            self._wake()
        self._timer = self._loop.call_at(max(self._due, self._loop.time() + LEAST_PAUSE), self._look)


def _over(run: Run) -> Coroutine[Any, Any, None]:
    return until_end(run_id=run.id, workspace_id=run.workspace_id, live=run.live)


def _reader(run: Run, after: int) -> AbstractAsyncContextManager[Reader]:
    return reader(run_id=run.id, workspace_id=run.workspace_id, thread_id=run.thread_id, after=after, live=run.live)


def _session_over(session_id: UUID | None, run: Run) -> asyncio.Task[Any] | None:
    """A task that is done when the chat session, of the run's workspace, is over."""
    if session_id is None:
        return None
    return asyncio.ensure_future(session_over(session_id=session_id, workspace_id=run.workspace_id))


def _cancel(*tasks: asyncio.Task[Any] | None) -> None:
    for task in tasks:
        if task is not None:
            task.cancel()


def _leave(when_left: Leaving | None, run: Run) -> None:
    """Do what is to be done without a reader, outside the request that is being taken down."""
    if when_left is not None:
        with scope.within(run.workspace_id):
            task: asyncio.Task[object] = asyncio.get_running_loop().create_task(in_thread(when_left)())
        _leaving.add(task)
        task.add_done_callback(_leaving.discard)


async def _called_in(threads: FewAtATime, view: Callable[[], HttpResponseBase]) -> HttpResponseBase:
    """What the view answers. Where its reader leaves before it begins, it does not begin; later, it goes on."""
    context, first = copy_context(), dict[str, str]()

    def call() -> HttpResponseBase:
        if first.setdefault("came", "the view") != "the view":
            return HttpResponse()  # nobody will see it
        try:
            return context.run(view)
        finally:
            close_old_connections()  # back to the pool: what follows may take minutes

    answer = asyncio.ensure_future(threads.call(call))
    try:
        return await asyncio.shield(answer)
    except asyncio.CancelledError:
        if first.setdefault("came", "its end") == "the view":
            answer.add_done_callback(_nobody_waits)
        raise
    finally:
        if answer.done():
            _adopt(context)


def _nobody_waits(answer: asyncio.Future[HttpResponseBase]) -> None:
    """Of a view that has begun. Who comes back soon, under the same Idempotency-Key, has not gone."""
    if answer.cancelled():  # the loop ends
        return
    if error := answer.exception():
        logger.error("a view failed whose reader had left", exc_info=error)
        return
    response = answer.result()
    throttling.leave_place(response)
    if isinstance(response, AfterRun | RunStream):
        asyncio.get_running_loop().call_later(BACK_SECONDS, _leave, response.when_left, response.run)


def _adopt(context: Context) -> None:
    """What the view has set there (who asks, for the logs) holds for what follows. What Django keeps for a thread (the
    script's prefix, a language) does not come along, neither here nor there."""
    for variable, value in context.items():
        if variable.get(None) is not value:
            variable.set(value)


def awaiting(view: Callable[..., HttpResponseBase]) -> Callable[..., Coroutine[Any, Any, HttpResponseBase]]:
    """Make a view's URL callable asynchronous, so that its AfterRun can be waited for without holding a thread.

    The view itself is called in the threads that the request brings along (`handler`), or, of any other handler, in the
    one that Django would call it in. One who leaves meanwhile has left all the same.
    """

    def call(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        setattr(request, throttling.AWAITED, True)
        response = view(request, *args, **kwargs)
        if isinstance(response, AfterRun | StreamingHttpResponse):
            close_old_connections()
        return response

    async def wrapper(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        threads: FewAtATime | None = vars(request).get(BEGINNING)
        if threads is None:
            response = await sync_to_async(call, thread_sensitive=True)(request, *args, **kwargs)
        else:
            response = await _called_in(threads, partial(call, request, *args, **kwargs))
        if not isinstance(response, AfterRun):
            return response
        try:
            settled = await response.settle()
        except Exception as error:  # noqa: BLE001  outside the view's own handler, so handed to the same one here
            settled = errors.answer(request, error)
        finally:
            throttling.leave_place(response)
        throttling.carry_over(response, settled)
        return settled

    update_wrapper(wrapper, view)
    return csrf_exempt(wrapper)
