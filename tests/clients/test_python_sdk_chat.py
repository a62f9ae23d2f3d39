"""PyPI `qelos-sdk`, unmodified: agents and chat, as JSON and as streams, authenticated in every way it has."""

import json
from typing import Any

import pytest
from qelos_sdk import QelosAPIError, QelosSDK

from tests.clients.ai_answers import AGENT, answer_of, spoken_in, text_of
from tests.clients.shapes import differences
from tests.hub import Hub

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.usefixtures("one_certificate"),
]

NO_THREAD = "thread_01jaaaaaaaaaaaaaaaaaaaaaaa"


def ask(*texts: str) -> dict[str, Any]:
    """The options of a chat call with these user messages."""
    return {"messages": [{"role": "user", "content": text} for text in texts]}


async def new_thread(sdk: QelosSDK, hub: Hub) -> str:
    thread = await sdk.ai.threads.create({"integration": hub.agent_id})
    thread_id: str = thread["_id"]
    return thread_id


async def spoken(sdk: QelosSDK, thread_id: str) -> list[tuple[str, str]]:
    return spoken_in(await sdk.ai.threads.get_one(thread_id))


async def test_chat_answers_and_stores_nothing(sdk: QelosSDK, hub: Hub) -> None:
    before = await sdk.ai.threads.list({"limit": 1, "sort": "-created"})
    assert "an open question" in answer_of(await sdk.ai.chat.chat(hub.agent_id, ask("an open question")))
    assert await sdk.ai.threads.list({"limit": 1, "sort": "-created"}) == before


async def test_chat_in_thread_stores_question_and_answer(sdk: QelosSDK, hub: Hub) -> None:
    thread_id = await new_thread(sdk, hub)
    answer = answer_of(await sdk.ai.chat.chat_in_thread(hub.agent_id, thread_id, ask("Where is my order?")))
    assert answer == "You said: Where is my order?"
    assert await spoken(sdk, thread_id) == [("user", "Where is my order?"), ("assistant", answer)]


async def test_the_thread_is_the_context_of_its_next_answer(sdk: QelosSDK, hub: Hub) -> None:
    thread_id = await new_thread(sdk, hub)
    await sdk.ai.chat.chat_in_thread(hub.agent_id, thread_id, ask("First"))
    given = json.loads(answer_of(await sdk.ai.chat.chat_in_thread(hub.agent_id, thread_id, ask("/context"))))
    assert (given["messages"], given["roles"]) == (3, "uau")
    assert [role for role, _ in await spoken(sdk, thread_id)] == ["user", "assistant", "user", "assistant"]


async def test_a_resent_history_is_not_stored_twice(sdk: QelosSDK, hub: Hub) -> None:
    thread_id = await new_thread(sdk, hub)
    await sdk.ai.chat.chat_in_thread(hub.agent_id, thread_id, ask("First"))
    history = (await sdk.ai.threads.get_one(thread_id))["messages"]
    options = {"messages": [*history, {"role": "user", "content": "Second"}]}
    await sdk.ai.chat.chat_in_thread(hub.agent_id, thread_id, options)
    assert await spoken(sdk, thread_id) == [
        ("user", "First"),
        ("assistant", "You said: First"),
        ("user", "Second"),
        ("assistant", "You said: Second"),
    ]


async def test_chat_takes_every_option_of_the_client(sdk: QelosSDK, hub: Hub) -> None:
    tuning = {
        "temperature": 0.2,
        "top_p": 0.9,
        "frequency_penalty": 0,
        "presence_penalty": 0,
        "stop": ["never"],
    }
    rest = {"model": "echo", "max_tokens": 3, "context": {"page": "/cart"}, "rules": ["Be short."]}
    options = {**ask("one two three"), **tuning, **rest, "queryParams": {"source": "test"}}
    completion = await sdk.ai.chat.chat(hub.agent_id, options)
    assert answer_of(completion).split() == ["You", "said:", "one"]
    assert completion["choices"][0]["finish_reason"] == "length"


async def test_stream_arrives_in_chunks_that_both_kinds_of_client_read(sdk: QelosSDK, hub: Hub) -> None:
    chunks = [chunk async for chunk in await sdk.ai.chat.stream(hub.agent_id, ask("one two three"))]
    assert text_of(chunks) == "You said: one two three"
    assert len({chunk["id"] for chunk in chunks}) == 1


async def test_stream_in_thread_stores_what_it_streamed(sdk: QelosSDK, hub: Hub) -> None:
    thread_id = await new_thread(sdk, hub)
    processor = await sdk.ai.chat.stream_in_thread(hub.agent_id, thread_id, ask("Ünïcode ✓ 🙂"))
    answer = text_of([chunk async for chunk in processor])
    assert await spoken(sdk, thread_id) == [("user", "Ünïcode ✓ 🙂"), ("assistant", answer)]


async def test_a_stream_can_be_read_by_a_callback_that_stops(by_key: QelosSDK, hub: Hub) -> None:
    seen: list[str] = []

    def take(chunk: dict[str, Any]) -> bool:
        seen.append(chunk["content"])
        return len(seen) < 2

    processor = await by_key.ai.chat.stream(hub.agent_id, ask("/slow 0.1\none two three"))
    await processor.process_manually(take)
    assert len(seen) == 2
    assert "You said: one two three".startswith("".join(seen))


async def test_agents_lists_and_gets_the_agent(sdk: QelosSDK, hub: Hub) -> None:
    listed = [agent for agent in await sdk.ai.agents.list() if agent["_id"] == hub.agent_id]
    assert len(listed) == 1
    read = await sdk.ai.agents.get(hub.agent_id)
    assert differences(read, AGENT) == differences(listed[0], AGENT) == []
    assert (read["name"], read["workspace"], read["active"]) == (listed[0]["name"], hub.workspace_id, True)


async def test_agents_chat_and_stream_chat(sdk: QelosSDK, hub: Hub) -> None:
    history = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}]
    said = await sdk.ai.agents.chat(hub.agent_id, "/context", {"history": history})
    assert json.loads(answer_of(said))["roles"] == "uau"
    processor = await sdk.ai.agents.stream_chat(hub.agent_id, "Streamed")
    assert text_of([chunk async for chunk in processor]) == "You said: Streamed"


async def test_agents_chat_in_thread_and_stream_chat_in_thread(sdk: QelosSDK, hub: Hub) -> None:
    thread_id = await new_thread(sdk, hub)
    await sdk.ai.agents.chat_in_thread(hub.agent_id, thread_id, "First")
    processor = await sdk.ai.agents.stream_chat_in_thread(hub.agent_id, thread_id, "Second")
    assert text_of([chunk async for chunk in processor]) == "You said: Second"
    assert [text for role, text in await spoken(sdk, thread_id) if role == "user"] == ["First", "Second"]


async def test_a_client_tool_comes_back_to_the_client_and_its_result_is_used(sdk: QelosSDK, hub: Hub) -> None:
    thread_id = await new_thread(sdk, hub)
    tool = {"name": "cart_total", "description": "The sum of the cart.", "schema": {"type": "object"}}
    options = {**ask('/tool cart_total {"currency": "EUR"}'), "clientTools": [tool]}
    pending = await sdk.ai.chat.chat_in_thread(hub.agent_id, thread_id, options)
    assert pending["type"] == "client_tool_calls"
    (call,) = pending["assistantToolCalls"]
    assert (call["type"], call["function"]["name"]) == ("function", "cart_total")
    assert json.loads(call["function"]["arguments"]) == {"currency": "EUR"}
    result = {"role": "tool", "tool_call_id": call["id"], "name": "cart_total", "content": "42 EUR"}
    asked = {"role": "assistant", "content": "", "tool_calls": [call]}
    options = {"messages": [*options["messages"], asked, result], "clientTools": [tool]}
    done = await sdk.ai.chat.chat_in_thread(hub.agent_id, thread_id, options)
    assert "42 EUR" in answer_of(done)
    roles = [role for role, _ in await spoken(sdk, thread_id)]
    assert (roles[0], roles[-1], roles.count("user")) == ("user", "assistant", 1)


async def test_the_message_of_a_refused_chat_is_the_servers(by_key: QelosSDK, hub: Hub) -> None:
    chat = by_key.ai.chat
    thread_id = await new_thread(by_key, hub)
    said = {}
    for name, call in {
        "agent": chat.chat("nonsense", ask("Hi")),
        "agent of a thread": chat.chat_in_thread("nonsense", thread_id, ask("Hi")),
        "thread": chat.chat_in_thread(hub.agent_id, NO_THREAD, ask("Hi")),
        "messages": chat.chat(hub.agent_id, {}),
        "get": by_key.ai.agents.get("nonsense"),
    }.items():
        with pytest.raises(QelosAPIError) as raised:
            await call
        said[name] = str(raised.value).rstrip(".").lower()
    assert said["agent"] == said["agent of a thread"] == "integration not found"
    assert said["thread"] == "thread not found"
    assert "messages" in said["messages"]
    assert said["get"] == "agent not found"


async def test_a_refused_stream_has_a_status_and_not_an_open_stream(by_key: QelosSDK, hub: Hub) -> None:
    with pytest.raises(Exception, match="HTTP 404: Not Found"):
        await by_key.ai.chat.stream("nonsense", ask("Hi"))
    with pytest.raises(Exception, match="HTTP 404: Not Found"):
        await by_key.ai.chat.stream_in_thread(hub.agent_id, NO_THREAD, ask("Hi"))


async def test_a_failing_model_is_an_error_with_words_and_keeps_the_question(by_key: QelosSDK, hub: Hub) -> None:
    thread_id = await new_thread(by_key, hub)
    with pytest.raises(QelosAPIError) as raised:
        await by_key.ai.chat.chat_in_thread(hub.agent_id, thread_id, ask("/fail provider_unavailable"))
    assert str(raised.value) not in ("", "Request failed")
    assert (await spoken(by_key, thread_id))[0] == ("user", "/fail provider_unavailable")
    assert "again" in answer_of(await by_key.ai.chat.chat_in_thread(hub.agent_id, thread_id, ask("again")))
