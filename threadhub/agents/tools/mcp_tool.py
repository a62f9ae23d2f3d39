"""Tools of MCP servers, over streamable HTTP, through the protocol's own library (extra: threadhub/extras/mcp.txt).

Every request of the library goes out by our transport, so a server is held to the same addresses, times and sizes as
any web tool. A session lasts for one call: nothing of a server's is kept in between.

Two of the library's conveniences are not used. `call_tool` checks a result against the output schema that the server
gave, with `re` and without limits: a hostile server could stop the process. And the server's own wishes (sampling,
elicitation, roots) are refused, which is what the library does when nobody answers them.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

from threadhub.agents.tools import arguments as tool_arguments
from threadhub.agents.tools import http_request
from threadhub.agents.tools.errors import ToolBadResponse, ToolError, ToolHttpError, ToolTimeout, ToolUnavailable
from threadhub.agents.tools.guard import Guard
from threadhub.agents.tools.masking import Mask
from threadhub.agents.tools.output import ToolOutput
from threadhub.lib import json
from threadhub.lib.errors import Invalid

if TYPE_CHECKING:
    from mcp import ClientSession

    from threadhub.agents.tools.transport import GuardedTransport

MAX_TOOLS = 200
MAX_PAGES = 20
MAX_NAME_CHARACTERS = 128
MAX_DESCRIPTION_CHARACTERS = 4096
CALL_ID_KEY = "threadhub/call_id"
NOT_INSTALLED = "Tools of MCP servers are not installed here."


@dataclass(frozen=True, slots=True)
class McpToolDescription:
    """A tool as its server describes it; `faults` says what keeps it from being used."""

    name: str
    description: str
    parameters: dict[str, Any]
    faults: tuple[tool_arguments.Fault, ...] = ()


@dataclass(frozen=True, slots=True)
class McpServer:
    """An MCP server. Making one checks it: raises Invalid where it could never be called.

    `secret_headers` go to the server's own origin only and are shown nowhere; `timeout_seconds` and
    `max_response_bytes` are for one call with all its requests.
    """

    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    secret_headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    timeout_seconds: float = 30.0
    max_response_bytes: int = 1024 * 1024

    def __post_init__(self) -> None:
        http_request.check_template(self.url)
        if "{" in self.url:
            raise Invalid.at("url", msg="The address of an MCP server has no placeholders.")
        http_request.check_headers(self.headers, "headers")
        http_request.check_headers(self.secret_headers, "secret_headers")
        if self.timeout_seconds <= 0 or self.max_response_bytes <= 0:
            raise Invalid.at("limits", msg="Limits are positive numbers.")

    async def list_tools(self, *, guard: Guard) -> list[McpToolDescription]:
        """The server's tools, at most MAX_TOOLS. Raises ToolError."""
        found: list[McpToolDescription] = []
        transport, mask = self._way_out(guard)
        async with self._session(transport) as session:
            cursor: str | None = None
            for _ in range(MAX_PAGES):
                page, cursor = await _page(session, cursor)
                found += [_description(tool, mask) for tool in page]
                if cursor is None or len(found) >= MAX_TOOLS:
                    break
        return found[:MAX_TOOLS]

    async def call(self, name: str, arguments: Mapping[str, Any], *, call_id: str, guard: Guard) -> ToolOutput:
        """Call one tool once. Every failure is an output; only cancellation raises, and ends the requests.

        `call_id` goes along as `_meta["threadhub/call_id"]`, for servers that want to tell a repeat.
        """
        output: ToolOutput | None = None
        try:
            transport, mask = self._way_out(guard)
        except ToolError as error:
            return ToolOutput.failed(error, may_have_acted=False)
        called = False
        try:
            async with self._session(transport) as session:
                called = True
                output = _output(await _call(session, name, arguments, call_id), mask)
        except ToolError as error:
            # A session that does not end well takes nothing from the result that it gave.
            return output or ToolOutput.failed(error, may_have_acted=called)
        return output

    def _way_out(self, guard: Guard) -> tuple[GuardedTransport, Mask]:
        try:
            import mcp  # noqa: F401
        except ImportError as error:
            raise ToolUnavailable(NOT_INSTALLED, reason="pip install -r threadhub/extras/mcp.txt") from error
        from threadhub.agents.tools.transport import GuardedTransport

        mask = Mask(self.secret_headers.values())
        return GuardedTransport(guard=guard, max_bytes=self.max_response_bytes, mask=mask), mask

    @asynccontextmanager
    async def _session(self, transport: GuardedTransport) -> AsyncIterator[ClientSession]:
        """A session with the server, within the time limit. Raises ToolError and nothing of the library's."""
        import httpx2
        from mcp.client import Client
        from mcp.client.streamable_http import streamable_http_client

        headers = {**self.headers, **self.secret_headers, "Accept-Encoding": "identity", "User-Agent": "threadhub"}
        try:
            async with (
                asyncio.timeout(self.timeout_seconds),
                httpx2.AsyncClient(transport=transport, headers=headers, timeout=None, trust_env=False) as web,
                Client(
                    streamable_http_client(self.url, http_client=web, max_sse_event_size=self.max_response_bytes),
                    cache=None,
                ) as client,
            ):
                yield client.session
        except TimeoutError as error:
            raise ToolTimeout from error
        except ToolError:
            raise
        except Exception as error:
            raise transport.fault or _tool_error(error) from error


async def _call(session: ClientSession, name: str, arguments: Mapping[str, Any], call_id: str) -> Any:
    """The server's result. A server that wants arguments repeated in headers says so, before it does anything."""
    from mcp import types
    from mcp.shared.exceptions import MCPError

    meta = cast("types.RequestParamsMeta", {CALL_ID_KEY: call_id})
    params = types.CallToolRequestParams(name=name, arguments=dict(arguments), _meta=meta)
    request = types.CallToolRequest(params=params)
    try:
        return await session.send_request(request, types.CallToolResult)
    except MCPError as error:
        if error.code != types.HEADER_MISMATCH:
            raise
    cursor: str | None = None
    for _ in range(MAX_PAGES):
        listing = await session.list_tools(params=types.PaginatedRequestParams(cursor=cursor))
        cursor = listing.next_cursor
        if cursor is None or any(tool.name == name for tool in listing.tools):
            break
    return await session.send_request(request, types.CallToolResult)


async def _page(session: ClientSession, cursor: str | None) -> tuple[list[Any], str | None]:
    from mcp import types

    request = types.ListToolsRequest(params=types.PaginatedRequestParams(cursor=cursor))
    listing = await session.send_request(request, types.ListToolsResult)
    return listing.tools, listing.next_cursor


def _description(tool: Any, mask: Mask) -> McpToolDescription:
    """As the server gave it, cut and masked; a name or text that cannot be kept is a fault."""
    faults = list(tool_arguments.check_schema(tool.input_schema))
    if not 0 < len(tool.name) <= MAX_NAME_CHARACTERS:
        faults.append(tool_arguments.Fault("name", f"A name has 1 to {MAX_NAME_CHARACTERS} characters."))
    description = (tool.description or "")[:MAX_DESCRIPTION_CHARACTERS]
    try:
        json.check_storable([tool.name, description])
    except json.RefusedJSON:
        faults.append(tool_arguments.Fault("name", "The name or the description holds what cannot be kept."))
    parameters = tool.input_schema if not faults else {"type": "object"}
    return McpToolDescription(
        mask.text(tool.name[:MAX_NAME_CHARACTERS]), mask.text(description), mask.value(parameters), tuple(faults)
    )


def _output(result: Any, mask: Mask) -> ToolOutput:
    """Structured content where there is some, else the texts; what is neither is named, not passed on."""
    content = result.structured_content
    if content is None:
        content = "\n\n".join(_text(block) for block in result.content) or None
    try:
        content = mask.value(json.loads(json.dumps(content)))
    except (TypeError, RecursionError, json.MalformedJSON, json.RefusedJSON) as error:
        raise ToolBadResponse(reason="The answer holds what cannot be kept.") from error
    if result.is_error:
        return ToolOutput.failed(ToolHttpError("The tool answered with an error."), body=content)
    return ToolOutput(content)


def _text(block: Any) -> str:
    if block.type == "text":
        return str(block.text)
    if block.type == "resource" and isinstance(text := getattr(block.resource, "text", None), str):
        return text
    if block.type == "resource_link":
        return f"[link to {block.uri}]"
    return f"[{block.type}, left out]"


def _tool_error(error: BaseException) -> ToolError:
    """Ours for what the library raises, which wraps errors of its tasks in groups."""
    from mcp.shared.exceptions import MCPError
    from pydantic import ValidationError

    if isinstance(error, BaseExceptionGroup):
        return _tool_error(error.exceptions[0])
    if isinstance(error, ToolError):
        return error
    if isinstance(error, TimeoutError):
        return ToolTimeout()
    if isinstance(error, MCPError):
        return ToolHttpError("The tool's server refused the call.", reason=f"JSON-RPC error {error.code}.")
    if isinstance(error, ValidationError):
        return ToolBadResponse(reason="The server's answer is not of the protocol's shape.")
    return ToolBadResponse(reason="The server breaks the rules of the protocol.")
