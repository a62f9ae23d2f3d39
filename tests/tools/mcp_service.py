"""A real MCP server, in a process of its own: `python -m tests.tools.mcp_service [--old]` prints its port.

With `--old` it knows the handshake with sessions only, as servers before 2026 do.
"""

import asyncio
import socket
import sys
from typing import Any

import uvicorn
from mcp.server.mcpserver import Context, MCPServer
from mcp.server.mcpserver.exceptions import ToolError

hub = MCPServer("test")


@hub.tool()
def add(a: int, b: int) -> int:
    """Adds two numbers."""
    return a + b


@hub.tool()
def fail() -> str:
    """Fails."""
    raise ToolError("this cannot be done")


@hub.tool(structured_output=False)
def echo(text: str) -> str:
    """Gives back what it is given."""
    return text


@hub.tool(structured_output=False)
def headers(context: Context[Any, Any]) -> str:
    """The headers of the call."""
    assert context.headers is not None
    return "\n".join(f"{name}: {value}" for name, value in context.headers.items())


@hub.tool(structured_output=False)
def meta(context: Context[Any, Any]) -> str:
    """What came beside the arguments."""
    return str(context.request_context.meta)


@hub.tool()
async def slow() -> str:
    """Sleeps."""
    await asyncio.sleep(30)
    return "late"


@hub.tool(structured_output=False)
def large(size: int) -> str:
    """A long text."""
    return "x" * size


@hub.tool(structured_output=False)
def null() -> str:
    """Text that cannot be stored."""
    return "a\x00b"


class OnlyOld:
    """Answers the newer protocol's first request as a server that never heard of it."""

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http" or scope["method"] != "POST":
            return await self.app(scope, receive, send)
        message = await receive()
        if b"server/discover" in message.get("body", b""):
            await send({"type": "http.response.start", "status": 400, "headers": [(b"content-type", b"text/plain")]})
            return await send({"type": "http.response.body", "body": b"Bad Request: Missing session ID"})

        async def again() -> Any:
            nonlocal message
            given, message = message, None
            return given if given is not None else await receive()

        return await self.app(scope, again, send)


def main() -> None:
    listening = socket.socket()
    listening.bind(("127.0.0.1", 0))
    listening.listen()
    app: Any = hub.streamable_http_app()
    if "--old" in sys.argv:
        app = OnlyOld(app)
    print(listening.getsockname()[1], flush=True)
    uvicorn.Server(uvicorn.Config(app, log_level="warning")).run([listening])


if __name__ == "__main__":
    main()
