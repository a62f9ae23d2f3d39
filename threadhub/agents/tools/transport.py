"""Web requests on pinned addresses, with bounded, decoded and masked answers.

It is a transport of httpx2, so that the MCP library speaks through it too. It stands on httpcore2's pool and its
documented network backend, which keep the host's name for `Host`, SNI and the certificate while the connection goes
to an address that the guard has checked. Proxies of the environment are not used: they would resolve names again.
"""

from __future__ import annotations

import logging
import ssl
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import aclosing, contextmanager
from functools import lru_cache
from typing import Any

import httpcore2
import httpx2

from threadhub.agents.tools.errors import ToolBadResponse, ToolError, ToolTimeout, ToolTooLarge, ToolUnavailable
from threadhub.agents.tools.guard import Guard
from threadhub.agents.tools.masking import Mask

CONNECT_SECONDS = 5.0  # for each address of a host
MAX_TRIED = 4
MAX_CONNECTIONS = 8
# What is said about the body as sent is no longer so once it is decoded.
OF_THE_WIRE = frozenset({b"content-encoding", b"content-length", b"transfer-encoding"})


class _WithoutAnswersHeaders(logging.Filter):
    """httpcore2 writes the headers of answers to its debug log, where an echoed secret would stand."""

    def filter(self, record: logging.LogRecord) -> bool:
        return "receive_response_headers.complete" not in record.getMessage()


logging.getLogger("httpcore2.http11").addFilter(_WithoutAnswersHeaders())


class PinnedBackend(httpcore2.AsyncNetworkBackend):
    """Connects to the addresses that the guard gave for a host, never to the host's name."""

    def __init__(self, guard: Guard) -> None:
        self._guard = guard
        self._network = httpcore2.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109  httpcore2's signature
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        addresses = await self._guard.addresses_of(host, port)
        fault: Exception | None = None
        for address in addresses[:MAX_TRIED]:
            try:
                return await self._network.connect_tcp(
                    address, port, timeout=CONNECT_SECONDS, local_address=local_address, socket_options=socket_options
                )
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout) as error:
                fault = error
        raise ToolUnavailable(reason="No connection could be made.") from fault

    async def sleep(self, seconds: float) -> None:
        await self._network.sleep(seconds)


class GuardedTransport(httpx2.AsyncBaseTransport):
    """One call's way out. Raises ToolError and nothing of the libraries below.

    `max_bytes` bounds the bodies of all its answers together, as received and as decoded. `sent` says whether any
    request has been, `fault` is the first error met: what the MCP library makes of errors loses them.
    """

    def __init__(self, *, guard: Guard, max_bytes: int, mask: Mask) -> None:
        self._guard = guard
        self._mask = mask
        self._budget = _Budget(max_bytes)
        self._pool = httpcore2.AsyncConnectionPool(
            ssl_context=guard.ssl_context or _ssl_context(),
            network_backend=PinnedBackend(guard),
            max_connections=MAX_CONNECTIONS,
        )
        self.sent = False
        self.fault: ToolError | None = None

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        with self._faults():
            self._guard.check_url(request.url)
            answer = await self._pool.handle_async_request(self._core_request(request))
        headers = [(name, self._mask.text(value.decode("latin-1")).encode("latin-1")) for name, value in answer.headers]
        body = _Body(self, answer, headers)
        kept = [(name, value) for name, value in headers if name.lower() not in OF_THE_WIRE]
        return httpx2.Response(answer.status, headers=kept, stream=body)

    async def aclose(self) -> None:
        await self._pool.aclose()

    def _core_request(self, request: httpx2.Request) -> httpcore2.Request:
        url = request.url
        target = httpcore2.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path)
        return httpcore2.Request(
            method=request.method,
            url=target,
            headers=request.headers.raw,
            content=request.stream,
            extensions={"trace": self._trace},
        )

    async def _trace(self, event: str, _info: dict[str, Any]) -> None:
        if event.endswith("send_request_headers.started"):
            self.sent = True

    @contextmanager
    def _faults(self) -> Iterator[None]:
        try:
            yield
        except ToolError as error:
            self.fault = self.fault or error
            raise
        except (httpcore2.TimeoutException, *NETWORK_FAULTS) as error:
            fault = _tool_error(error)
            self.fault = self.fault or fault
            raise fault from error


class _Budget:
    """How many bytes an answer may still have."""

    def __init__(self, limit: int) -> None:
        self.received = self.decoded = limit

    def receive(self, count: int) -> None:
        self.received -= count
        self._check()

    def decode(self, count: int) -> None:
        self.decoded -= count
        self._check()

    def _check(self) -> None:
        if min(self.received, self.decoded) < 0:
            raise ToolTooLarge


class _Body(httpx2.AsyncByteStream):
    """An answer's body: counted, decoded piece by piece, counted again, masked."""

    def __init__(
        self, transport: GuardedTransport, answer: httpcore2.Response, headers: list[tuple[bytes, bytes]]
    ) -> None:
        self._transport = transport
        self._answer = answer
        self._headers = headers

    async def __aiter__(self) -> AsyncIterator[bytes]:
        masked = self._transport._mask.stream()
        with self._transport._faults():
            decoded = httpx2.Response(
                200, headers=self._headers, stream=_Counted(self._answer, self._transport._budget)
            )
            async with aclosing(decoded.aiter_bytes()) as pieces:
                async for piece in pieces:
                    self._transport._budget.decode(len(piece))
                    if out := masked.feed(piece):
                        yield out
        if rest := masked.end():
            yield rest

    async def aclose(self) -> None:
        await self._answer.aclose()


class _Counted(httpx2.AsyncByteStream):
    def __init__(self, answer: httpcore2.Response, budget: _Budget) -> None:
        self._answer = answer
        self._budget = budget

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for piece in self._answer.aiter_stream():
            self._budget.receive(len(piece))
            yield piece


NETWORK_FAULTS = (
    httpcore2.NetworkError,
    httpcore2.ProtocolError,
    httpcore2.UnsupportedProtocol,
    httpx2.DecodingError,
)


def _tool_error(error: Exception) -> ToolError:
    """Ours for one of the libraries'."""
    if isinstance(error, httpcore2.TimeoutException):
        return ToolTimeout()
    if isinstance(error, httpcore2.ProtocolError | httpcore2.UnsupportedProtocol | httpx2.DecodingError):
        return ToolBadResponse(reason="The answer breaks the rules of HTTP.")
    if isinstance(error, httpcore2.ConnectError) and _of_tls(error):
        return ToolUnavailable(reason="The service's certificate could not be verified.")
    return ToolUnavailable(reason="The connection broke.")


def _of_tls(error: BaseException | None) -> bool:
    while error is not None:
        if isinstance(error, ssl.SSLError):
            return True
        error = error.__cause__ or error.__context__
    return False


@lru_cache(maxsize=1)
def _ssl_context() -> ssl.SSLContext:
    """The system's trusted authorities, read once (SSL_CERT_FILE and SSL_CERT_DIR name others)."""
    return httpcore2.default_ssl_context()
