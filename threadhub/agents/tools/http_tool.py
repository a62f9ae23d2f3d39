"""Tools that are web services: one request per call, within limits, to an address that the guard lets pass."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from threadhub.agents.tools import http_request
from threadhub.agents.tools.errors import (
    ToolAddressRefused,
    ToolBadResponse,
    ToolError,
    ToolHttpError,
    ToolTimeout,
)
from threadhub.agents.tools.guard import Guard
from threadhub.agents.tools.masking import Mask
from threadhub.agents.tools.output import ToolOutput
from threadhub.lib import json
from threadhub.lib.errors import Invalid

if TYPE_CHECKING:
    import httpx2

    from threadhub.agents.tools.transport import GuardedTransport

REDIRECTS = frozenset({301, 302, 303, 307, 308})
TEXT_CHARSETS = frozenset({"", "utf-8", "utf8", "us-ascii", "ascii"})


@dataclass(frozen=True, slots=True)
class HttpTool:
    """A web service as a tool. Making one checks it: raises Invalid where it could never be called.

    `url` may hold `{name}` placeholders, which arguments fill; the others go into the query of a GET and into the
    JSON body of the other methods. `secret_headers` are sent to the tool's own origin only and shown nowhere.
    `timeout_seconds` is for the whole call, redirects included.
    """

    url: str
    method: str = "POST"
    headers: Mapping[str, str] = field(default_factory=dict)
    secret_headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    timeout_seconds: float = 20.0
    max_response_bytes: int = 256 * 1024
    max_redirects: int = 3

    def __post_init__(self) -> None:
        http_request.check_template(self.url)
        if self.method not in http_request.METHODS:
            raise Invalid.at("method", msg=f"The method is one of {', '.join(http_request.METHODS)}.")
        http_request.check_headers(self.headers, "headers")
        http_request.check_headers(self.secret_headers, "secret_headers")
        if self.timeout_seconds <= 0 or self.max_response_bytes <= 0 or self.max_redirects < 0:
            raise Invalid.at("limits", msg="Limits are positive numbers.")

    async def call(self, arguments: Mapping[str, Any], *, call_id: str, guard: Guard) -> ToolOutput:
        """Call the service once. Every failure is an output; only cancellation raises, and ends the request.

        `call_id` is sent as `Idempotency-Key`, so it must differ between calls, those of other runs included.
        """
        from threadhub.agents.tools.transport import GuardedTransport

        mask = Mask(self.secret_headers.values())
        transport = GuardedTransport(guard=guard, max_bytes=self.max_response_bytes, mask=mask)
        try:
            async with asyncio.timeout(self.timeout_seconds), transport:
                return await self._exchange(transport, arguments, call_id, mask)
        except TimeoutError:
            return ToolOutput.failed(ToolTimeout(), may_have_acted=transport.sent)
        except ToolError as error:
            return ToolOutput.failed(error, may_have_acted=transport.sent)

    async def _exchange(
        self, transport: GuardedTransport, arguments: Mapping[str, Any], call_id: str, mask: Mask
    ) -> ToolOutput:
        key = {"Idempotency-Key": http_request.idempotency_key(call_id)}
        request = http_request.build(
            url=self.url,
            method=self.method,
            headers={**self.headers, **self.secret_headers, **key},
            arguments=arguments,
        )
        configured = {name.lower() for name in (*self.headers, *self.secret_headers)}
        for _ in range(self.max_redirects + 1):
            response = await transport.handle_async_request(request)
            try:
                if response.status_code not in REDIRECTS or "location" not in response.headers:
                    return await _output(response, mask)
                request = follow(request, response, configured)
            finally:
                await response.aclose()
        raise ToolHttpError("The tool's address redirects too often.")


def follow(request: httpx2.Request, response: httpx2.Response, configured: set[str]) -> httpx2.Request:
    """The request that a redirect asks for; the guard has yet to check it.

    `configured` names the tool's own headers, secret or not: they stay behind when the origin changes, and do not
    come back when it changes back, because the path there would be another's choice. Raises ToolError for a
    redirect that leaves TLS, and for one that would turn a write into something else (301 and 302 are answered to
    a POST by clients that go on with a GET; then nothing was written and all looks well).
    """
    import httpx2

    try:
        target = request.url.join(response.headers["location"])
    except (httpx2.InvalidURL, ValueError) as error:
        raise ToolBadResponse(reason="It redirects to what is no address.") from error
    if request.url.scheme == "https" and target.scheme != "https":
        raise ToolAddressRefused(reason="It redirects from https to something else.")
    method, body = request.method, _body(request)
    if response.status_code == 303:
        method, body = "GET", None
    elif method != "GET" and response.status_code in (301, 302):
        raise ToolHttpError("The tool's address has moved; whoever configured it must enter the new one.")
    dropped = {"host", "content-length"} | ({"content-type"} if body is None else set())
    if origin(target) != origin(request.url):
        dropped |= configured
    headers = [(name, value) for name, value in request.headers.items() if name.lower() not in dropped]
    return httpx2.Request(method, target, headers=headers, content=body)


def origin(url: httpx2.URL) -> tuple[str, str, int | None]:
    """Scheme, host and port; httpx2 leaves a scheme's own port away."""
    return url.scheme, url.host, url.port


def _body(request: httpx2.Request) -> bytes | None:
    return request.content if "content-type" in request.headers else None


async def _output(response: httpx2.Response, mask: Mask) -> ToolOutput:
    status = response.status_code
    if response.is_success:
        return ToolOutput(await _content(response, mask), status=status)
    try:
        body = await _content(response, mask)
    except ToolBadResponse:
        body = None  # the status says enough
    return ToolOutput.failed(
        ToolHttpError(f"The tool answered with the HTTP status {status}."), status=status, body=body
    )


async def _content(response: httpx2.Response, mask: Mask) -> Any:
    """The body as a JSON value where it says that it is one, else as text; nothing is None."""
    async with aclosing(response.aiter_raw()) as pieces:  # the transport has decoded and bounded it
        data = b"".join([piece async for piece in pieces])
    if not data:
        return None
    kind, _, parameters = response.headers.get("content-type", "").partition(";")
    kind = kind.strip().lower()
    try:
        if kind == "application/json" or kind.endswith("+json"):
            return mask.value(json.loads(data))
        if _charset(parameters) not in TEXT_CHARSETS:
            raise ToolBadResponse(reason="The answer is not in UTF-8.")
        text = data.decode("utf-8")
        json.check_storable(text)
    except (json.MalformedJSON, json.RefusedJSON) as error:
        raise ToolBadResponse(reason="The answer is not JSON, or holds what cannot be kept.") from error
    except UnicodeDecodeError as error:
        raise ToolBadResponse(reason="The answer is neither JSON nor text in UTF-8.") from error
    return mask.text(text)


def _charset(parameters: str) -> str:
    for parameter in parameters.split(";"):
        name, _, value = parameter.strip().partition("=")
        if name.strip().lower() == "charset":
            return value.strip().strip('"').lower()
    return ""
