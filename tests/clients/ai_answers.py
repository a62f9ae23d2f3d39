"""What the `ai` dialect answers, as both of its clients see it: completions, chunks, threads, accounts."""

from datetime import datetime
from typing import Any

from tests.clients import seed_texts
from tests.clients.shapes import differences

USER: dict[str, Any] = {"username": "", "email": "", "firstName": "", "lastName": "", "name": "", "roles": []}
ME: dict[str, Any] = {**USER, "_id": "", "fullName": "", "metadata": {}}
API_TOKEN: dict[str, Any] = {"_id": "", "nickname": "", "tokenPrefix": "", "workspace": "", "usageCount": 0}
SIGNED_IN: dict[str, Any] = {"user": USER, "workspace": {"_id": "", "name": ""}}
TOKENS: dict[str, Any] = {"token": "", "refreshToken": "", "user": USER}
AGENT: dict[str, Any] = {"_id": "", "name": "", "model": "", "tools": [], "workspace": "", "active": True}
# The completion that the vendor's documentation prints.
COMPLETION: dict[str, Any] = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1700000000,
    "model": "gpt-4",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hello!"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 25, "completion_tokens": 50, "total_tokens": 75},
}


def answer_of(completion: dict[str, Any]) -> str:
    """The text of a completion, once its shape is right."""
    assert differences(completion, COMPLETION) == []
    assert completion["object"] == "chat.completion"
    assert isinstance(completion["created"], int)
    usage = completion["usage"]
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"] > 0
    (choice,) = completion["choices"]
    text: str = choice["message"]["content"]
    return text


def text_of(chunks: list[dict[str, Any]]) -> str:
    """The text of a stream's chunks, read once by each of the two kinds of client."""
    by_choices = "".join(chunk["choices"][0]["delta"].get("content", "") for chunk in chunks if "choices" in chunk)
    by_type = "".join(chunk["content"] for chunk in chunks if chunk["type"] == "chunk")
    assert by_choices == by_type
    assert [chunk["type"] for chunk in chunks].count("done") == 1
    assert (chunks[-1]["type"], chunks[-1]["choices"][0]["finish_reason"]) == ("done", "stop")
    assert all(chunk["choices"][0]["finish_reason"] is None for chunk in chunks[:-1])
    return by_choices


def spoken_in(thread: dict[str, Any]) -> list[tuple[str, str]]:
    """(role, content) of each message of a thread, in order, once its shape and times are right."""
    printed = {name: value for name, value in seed_texts.ai_response("Get Thread").items() if name != "title"}
    assert differences(thread, printed) == []
    assert thread.get("title") is None or isinstance(thread["title"], str)
    times = [datetime.fromisoformat(message["timestamp"]) for message in thread["messages"]]
    assert times == sorted(times)
    return [(message["role"], message["content"]) for message in thread["messages"]]
