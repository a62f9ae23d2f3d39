"""How a web process answers: streams in the event loop, everything else in a few threads.

Django's ASGI handler alone would send each request through its asynchronous stack of middleware, which hops
into a thread and back at every layer, and makes a thread per request: several times the work of a small answer.
Here only a request whose view is a coroutine function (it waits for a run or streams it: `api.streaming.awaiting`)
takes an asynchronous stack, none of whose layers hops, and its view is called in threads that are there already. Any
other is answered in one go by one of a few threads (`lib.few_at_a_time`): by the synchronous
stack, or where it is like one that was answered a moment ago by a shorter way (`short_way`).
"""

import asyncio
import contextvars
import logging
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from io import BytesIO
from itertools import chain, repeat
from typing import IO, Any, TypeVar, cast

from asgiref.sync import iscoroutinefunction
from django.conf import settings
from django.core.exceptions import RequestAborted
from django.core.handlers.asgi import ASGIHandler
from django.core.handlers.base import BaseHandler
from django.core.handlers.exception import convert_exception_to_response
from django.db import close_old_connections
from django.http import HttpRequest
from django.http.response import HttpResponseBase, StreamingHttpResponse
from django.urls import Resolver404, ResolverMatch, resolve, set_script_prefix
from django.utils.decorators import sync_and_async_middleware
from django.utils.deprecation import MiddlewareMixin
from django.utils.module_loading import import_string
from whitenoise.middleware import WhiteNoiseMiddleware

from threadhub import short_way
from threadhub.api import errors, streaming
from threadhub.api.dialect import dialect_of
from threadhub.api.gone_wrong import GONE_WRONG, GoneWrong
from threadhub.lib import remembered
from threadhub.lib.few_at_a_time import FewAtATime
from threadhub.short_way import Alike, Plain

logger = logging.getLogger(__name__)

DRAINED = 16  # times the largest body: so much is read to its end, more is refused unread
SHORT_BODY = 2**18  # bytes
PIECES = 64  # in which a short body comes
LEAST_THREADS = 4  # without a pool, each has a connection of its own
AT_ONCE = 16  # requests that begin something, without a pool
FOUND = "threadhub_found"  # of a request: what its address was resolved to, before it was a request

R = TypeVar("R")
Scope = dict[str, Any]
Message = Mapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


class SyncHandler(BaseHandler):
    """The synchronous stack, as under WSGI."""

    def __init__(self) -> None:
        super().__init__()
        self.load_middleware()

    def resolve_request(self, request: HttpRequest) -> ResolverMatch:
        """What the address means: looked up once, to choose between the stacks."""
        found: ResolverMatch | None = vars(request).get(FOUND)
        if found is None or request.path != request.path_info:
            return super().resolve_request(request)
        request.resolver_match = found
        return found


class ForApi(BaseHandler):
    """Without what is for pages, which would look at each request only to let it pass."""

    def load_middleware(self, is_async: bool = False) -> None:
        """API_MIDDLEWARE, none of which hooks into the view (a test holds it)."""
        self._view_middleware: list[Any] = []
        self._template_response_middleware: list[Any] = []
        self._exception_middleware: list[Any] = []
        stack: Any = self
        answer: Any = convert_exception_to_response(stack._get_response_async if is_async else stack._get_response)
        for path in reversed(settings.API_MIDDLEWARE):
            made = import_string(path)(answer)
            if is_async and isinstance(made, MiddlewareMixin):
                made = _in_the_loop(made, answer)
            answer = convert_exception_to_response(made)
        self._middleware_chain = answer


class ApiHandler(ForApi, SyncHandler):
    """The synchronous stack of the API."""


class Handler(ForApi, ASGIHandler):
    """All stacks behind one ASGI application; the asynchronous one, which is itself, is the API's."""

    def __init__(self) -> None:
        super().__init__()
        self.pages, self.api = SyncHandler(), ApiHandler()
        threads = max(LEAST_THREADS, settings.DATABASE_POOL_SIZE)
        self.requests = FewAtATime(threads, "request")
        # As many begin at once as the pool has connections at most. Others wait for their turn, however long they stay,
        # and not for a connection, which is given up after DATABASE_POOL_SECONDS.
        self.beginning = FewAtATime(settings.DATABASE_POOL_SIZE or AT_ONCE, "begin")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if has_body(scope):
            if declared_length(scope) > DRAINED * settings.REQUEST_MAX_BYTES:
                await self.send_response(errors.before_request(scope["path"], 413), send)
                return
            receive = limited(receive)
        found = resolved(scope["path"])
        if found is not None and iscoroutinefunction(found.func):
            await super().__call__(scope, receive, send)
        else:
            await self._answer_in_thread(scope, receive, send, found)

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """An answer that waits for something, until it is sent or nobody is there any more. As Django's, without its
        signals, each of which would hop into a thread of its own."""
        try:
            body = await self.read_body(receive)
        except RequestAborted:
            return
        set_script_prefix(scope.get("root_path") or "/")
        request, refusal = self.create_request(scope, body)
        if request is None:
            body.close()
            await self.send_response(refusal, send)
            return
        vars(request)[streaming.BEGINNING] = self.beginning
        gone = asyncio.ensure_future(self.listen_for_disconnect(receive))
        answered = asyncio.ensure_future(self._answer(request, send))
        try:
            await asyncio.wait({gone, answered}, return_when=asyncio.FIRST_COMPLETED)
            if answered.done():
                body.close()  # else whoever reads it in a thread reads it to its end
        finally:
            for task in (gone, answered):
                task.cancel()
            outcomes = await asyncio.gather(gone, answered, return_exceptions=True)
        for outcome in outcomes:
            if isinstance(outcome, BaseException) and not isinstance(outcome, RequestAborted | asyncio.CancelledError):
                raise outcome

    async def _answer(self, request: HttpRequest, send: Send) -> None:
        response = await self.run_get_response(request)
        try:
            await self.send_response(response, send)
        finally:
            _close(response)

    async def _answer_in_thread(self, scope: Scope, receive: Receive, send: Send, found: ResolverMatch | None) -> None:
        """What has come in whole is answered to its end, even when the sender has gone meanwhile."""
        try:
            body = await self.read_body(receive) if has_body(scope) else BytesIO()
        except RequestAborted:
            return
        response = await self.requests.call(_in_own_context(self._respond, scope, body, found))
        if isinstance(response, Plain):
            await response.send(send)
        elif not isinstance(response, StreamingHttpResponse):
            await self.send_response(response, send)
        elif response.is_async:
            await self._stream(response, send, self.requests.more)
        else:
            # One thread for the whole of it: whatever the iterator opens belongs to the thread that opened it.
            with ThreadPoolExecutor(1, thread_name_prefix="stream") as own:
                response.streaming_content = _chunks(cast("Iterator[bytes]", response.streaming_content), own)
                await self._stream(response, send, own)

    async def read_body(self, receive: Receive) -> IO[bytes]:
        """What is short, as most bodies are, needs no file that could grow onto a disk."""
        read = bytearray()
        for _ in range(PIECES):
            message = await receive()
            if message["type"] == "http.disconnect":
                raise RequestAborted
            read += message.get("body", b"")
            if not message.get("more_body"):
                return BytesIO(read)
            if len(read) > SHORT_BODY:
                break
        messages = chain([{"type": "http.request", "body": bytes(read), "more_body": True}], repeat(None))

        async def receive_again() -> Message:
            return next(messages) or await receive()

        whole: IO[bytes] = await super().read_body(receive_again)
        return whole

    def create_request(self, scope: Mapping[str, Any], body_file: IO[bytes]) -> Any:
        """A body that came in chunks has a length by now; REST framework takes one without for empty."""
        if not any(name == b"content-length" for name, _ in scope["headers"]):
            length = body_file.seek(0, os.SEEK_END)
            body_file.seek(0)
            if length:
                scope = {**scope, "headers": [*scope["headers"], (b"content-length", str(length).encode())]}
        request, refusal = super().create_request(scope, body_file)
        if refusal is not None:
            refusal = errors.before_request(scope["path"], refusal.status_code)
        return request, refusal

    def _learn(self, alike: Alike, request: HttpRequest, response: HttpResponseBase) -> None:
        """The answer is there: it is sent, whatever becomes of what could be learned from it."""
        try:
            short_way.learn(alike, request, response)
        except Exception:
            logger.exception("nothing was learned from a request")

    async def _stream(self, response: StreamingHttpResponse, send: Send, threads: Executor) -> None:
        try:
            await self.send_response(response, send)
        finally:
            await _run(threads, response.close)

    def _respond(self, scope: Scope, body: Any, found: ResolverMatch | None = None) -> HttpResponseBase | Plain:
        """From request to answer in one thread. The database connection is back in the pool at the end."""
        alike = short_way.alike(scope, found)
        gone_wrong: GoneWrong | None = None
        if alike is not None and found is not None and isinstance(body, BytesIO):
            answer = short_way.answer(alike, scope, body.getvalue(), found)
            if isinstance(answer, Plain):
                close_old_connections()
                return answer
            gone_wrong = answer
        return self._respond_by_stack(scope, body, found, alike, gone_wrong)

    def _respond_by_stack(
        self, scope: Scope, body: Any, found: ResolverMatch | None, alike: Alike | None, gone_wrong: GoneWrong | None
    ) -> HttpResponseBase:
        """The whole way.

        Neither `request_started` nor, for what is no stream, `request_finished` is sent: what Django has listening to
        them cleans up after a request, which is done here.
        """
        set_script_prefix(scope.get("root_path") or "/")
        request, refusal = self.create_request(scope, body)
        if request is not None and found is not None:
            vars(request)[FOUND] = found
        if request is not None and gone_wrong is not None:
            vars(request)[GONE_WRONG] = gone_wrong
        stack = self.api if dialect_of(scope["path"]) else self.pages
        response = refusal if request is None else stack.get_response(request)
        assert response is not None  # noqa: S101  either a request or a refusal
        vars(response)["_handler_class"] = type(self)
        if request is not None and alike is not None and gone_wrong is None:
            self._learn(alike, request, response)
        if response.streaming:
            close_old_connections()
        else:
            _finish(response)
            body.close()
        return response


def _in_the_loop(made: Any, get_response: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    """One of Django's middlewares that only look at a request and its answer, without the two hops into a thread that
    all requests share."""

    async def middleware(request: HttpRequest) -> Any:
        return made.process_response(request, made.process_request(request) or await get_response(request))

    return middleware


def _finish(response: HttpResponseBase) -> None:
    _close(response)
    close_old_connections()


def _close(response: HttpResponseBase) -> None:
    """As `response.close()`, without the signal."""
    for close in vars(response)["_resource_closers"]:
        with suppress(Exception):
            close()
    response.closed = True


def has_body(scope: Scope) -> bool:
    """Whether anything may come after the head: of HTTP/1 its headers say so."""
    if not scope["http_version"].startswith("1"):
        return True
    return any(name in (b"content-length", b"transfer-encoding") for name, _ in scope["headers"])


def declared_length(scope: Scope) -> int:
    """What Content-Length says; 0 where it says nothing. The server has seen to it that it is a number."""
    values = [value for name, value in scope["headers"] if name == b"content-length"]
    return int(values[0]) if values and values[0].isdigit() else 0


def resolved(path: str) -> ResolverMatch | None:
    """The view of a path. One that is a coroutine function waits for something; None: there is no view."""
    return _resolved(path) if len(path) > remembered.SHORT else _remembered(path)


def _resolved(path: str) -> ResolverMatch | None:
    try:
        return resolve(path)
    except Resolver404:
        return None


_remembered = remembered.results(4096)(_resolved)


def limited(receive: Receive) -> Receive:
    """`receive` that keeps one byte more than REQUEST_MAX_BYTES at most: enough for the parser to see that it is too
    much, and no disk is filled. The rest is read and dropped, so that the connection stays usable for the refusal."""
    left = settings.REQUEST_MAX_BYTES + 1

    async def receive_limited() -> Message:
        nonlocal left
        message = await receive()
        if message["type"] != "http.request":
            return message
        body = message.get("body", b"")[:left]
        left -= len(body)
        return {**message, "body": body}

    return receive_limited


def _in_own_context(function: Callable[..., R], *arguments: Any) -> Callable[[], R]:
    """What one request sets must not reach the next of its thread."""
    return partial(contextvars.copy_context().run, function, *arguments)


async def _run(threads: Executor, function: Callable[..., R], *arguments: Any) -> R:
    return await asyncio.get_running_loop().run_in_executor(threads, _in_own_context(function, *arguments))


async def _chunks(content: Iterator[bytes], threads: Executor) -> AsyncIterator[bytes]:
    while (chunk := await _run(threads, next, content, None)) is not None:
        yield chunk


@sync_and_async_middleware
def StaticFiles(get_response: Callable[..., Any]) -> Callable[..., Any]:
    """Static files for the synchronous stack. The other one has no use for them, and WhiteNoise, which is synchronous
    only, would make it hold a thread for as long as a run takes."""
    return get_response if iscoroutinefunction(get_response) else WhiteNoiseMiddleware(get_response)
