"""How the tests of the `ai` dialect ask."""

import asyncio
import json
from typing import Any

from tests.conftest import Api, Tenant


def said(*texts: str, **options: Any) -> dict[str, Any]:
    """The body of a chat call with these messages of the user."""
    return {"messages": [{"role": "user", "content": text} for text in texts], **options}


def new_thread(api: Api, tenant: Tenant, **fields: Any) -> str:
    """The id of a new thread with the tenant's agent."""
    response = api.post("/api/ai/threads", {"integration": tenant.agent.wire_id, **fields})
    assert response.status_code == 201, response.content
    thread_id: str = response.json()["_id"]
    return thread_id


def chat_path(tenant: Tenant, thread_id: str | None = None) -> str:
    path = f"/api/ai/{tenant.agent.wire_id}/chat-completion"
    return f"{path}/{thread_id}" if thread_id else path


def messages_of(api: Api, thread_id: str) -> list[dict[str, Any]]:
    messages: list[dict[str, Any]] = api.get(f"/api/ai/threads/{thread_id}").json()["messages"]
    return messages


def spoken(api: Api, thread_id: str) -> list[tuple[str, str]]:
    """(role, content) of each message of the thread."""
    return [(message["role"], message["content"]) for message in messages_of(api, thread_id)]


def streamed(api: Api, path: str, body: dict[str, Any] | None = None) -> bytes:
    """The whole body of a stream: by POST where there is a body, else by GET."""
    headers = {"Accept": "text/event-stream"}
    response = api.get(path, headers=headers) if body is None else api.post(path, body, headers=headers)
    assert response.status_code == 200, response.content
    assert response["Content-Type"].startswith("text/event-stream")
    return read(response)


def read(response: Any) -> bytes:
    """The bytes of a streaming response."""

    async def parts() -> list[bytes]:
        return [part async for part in response.streaming_content]

    return b"".join(asyncio.run(parts()))


def chunks_of(stream: bytes) -> list[dict[str, Any]]:
    """The chunks of a stream that ends in `[DONE]`."""
    *frames, done, nothing = stream.decode().split("\n\n")
    assert (done, nothing) == ("data: [DONE]", "")
    return [json.loads(frame.removeprefix("data: ")) for frame in frames if not frame.startswith(":")]
