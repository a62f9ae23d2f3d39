"""Tools that the client runs: the answer that asks for them, and the request that brings their results"""

import json
from typing import Any

import pytest

from tests.api.ai.conftest import chat_path, chunks_of, messages_of, new_thread, said, spoken, streamed
from tests.conftest import Api, Tenant

pytestmark = pytest.mark.usefixtures("worker")

TOOL = {"name": "cart_total", "description": "The sum of the cart.", "schema": {"type": "object"}}
QUESTION = said('/tool cart_total {"currency": "EUR"}', clientTools=[TOOL])


def pending(api: Api, tenant: Tenant, thread_id: str | None, body: dict[str, Any] = QUESTION) -> dict[str, Any]:
    response = api.post(chat_path(tenant, thread_id), body)
    assert response.status_code == 200, response.content
    answer: dict[str, Any] = response.json()
    assert answer["type"] == "client_tool_calls"
    return answer


def test_the_calls_are_named(api: Api, tenant: Tenant) -> None:
    thread_id = new_thread(api, tenant)
    answer = pending(api, tenant, thread_id)
    (call,) = answer["functionCalls"]
    assert call["id"]
    assert (call["type"], call["function"]["name"]) == ("function", "cart_total")
    assert json.loads(call["function"]["arguments"]) == {"currency": "EUR"}
    assert (answer["assistantToolCalls"], answer["backendResults"]) == ([call], [])
    assert answer["choices"][0]["finish_reason"] == "tool_calls"
    assert answer["choices"][0]["message"]["tool_calls"] == [call]
    assert messages_of(api, thread_id)[-1]["tool_calls"] == [call]


@pytest.mark.parametrize("resends", [True, False], ids=["with all before it", "alone"])
def test_the_result_continues_the_answer(api: Api, tenant: Tenant, resends: bool) -> None:
    thread_id = new_thread(api, tenant)
    (call,) = pending(api, tenant, thread_id)["assistantToolCalls"]
    result = {"role": "tool", "tool_call_id": call["id"], "name": "cart_total", "content": "42 EUR"}
    before = [*QUESTION["messages"], {"role": "assistant", "content": "", "tool_calls": [call]}] if resends else []
    body = {"messages": [*before, result], "clientTools": [TOOL]}
    done = api.post(chat_path(tenant, thread_id), body).json()
    assert "42 EUR" in done["choices"][0]["message"]["content"]
    assert [role for role, _ in spoken(api, thread_id)] == ["user", "assistant", "tool", "assistant"]
    kept = messages_of(api, thread_id)[2]
    assert (kept["content"], kept["tool_call_id"], kept["name"]) == ("42 EUR", call["id"], "cart_total")


def test_without_a_thread_the_request_brings_everything(api: Api, tenant: Tenant) -> None:
    (call,) = pending(api, tenant, None)["assistantToolCalls"]
    result = {"role": "tool", "tool_call_id": call["id"], "name": "cart_total", "content": "42 EUR"}
    asked = {"role": "assistant", "content": None, "tool_calls": [call]}
    body = {"messages": [*QUESTION["messages"], asked, result], "clientTools": [TOOL]}
    assert "42 EUR" in api.post(chat_path(tenant), body).json()["choices"][0]["message"]["content"]


def test_only_the_clients_own_are_function_calls(api: Api, tenant: Tenant) -> None:
    body = said("/tool cart_total {} /tool current_time {}", clientTools=[TOOL])
    answer = pending(api, tenant, None, body)
    assert [call["function"]["name"] for call in answer["functionCalls"]] == ["cart_total"]
    assert [call["function"]["name"] for call in answer["assistantToolCalls"]] == ["cart_total", "current_time"]


def test_in_a_stream_the_calls_come_before_its_end(api: Api, tenant: Tenant) -> None:
    thread_id = new_thread(api, tenant)
    told = chunks_of(streamed(api, chat_path(tenant, thread_id), QUESTION))
    asking, done = told[-2:]
    (call,) = asking["assistantToolCalls"]
    assert (asking["type"], asking["functionCalls"], asking["backendResults"]) == ("client_tool_calls", [call], [])
    assert asking["choices"] == [{"index": 0, "delta": {"tool_calls": [{"index": 0, **call}]}, "finish_reason": None}]
    assert (done["type"], done["choices"][0]["finish_reason"]) == ("done", "tool_calls")
    result = {"role": "tool", "tool_call_id": call["id"], "content": "42 EUR"}
    again = {"messages": [result], "clientTools": [TOOL]}
    answer = chunks_of(streamed(api, chat_path(tenant, thread_id), again))
    assert "42 EUR" in "".join(chunk["content"] for chunk in answer if chunk["type"] == "chunk")
    assert answer[-1]["choices"][0]["finish_reason"] == "stop"


def test_calls_of_earlier_steps_are_not_asked_for_again(api: Api, tenant: Tenant) -> None:
    question = said("/tool current_time {}\n/say wait\n/tool cart_total {}", clientTools=[TOOL])
    told = chunks_of(streamed(api, chat_path(tenant), question))
    asking = told[-2]
    assert asking["type"] == "client_tool_calls"
    assert [call["function"]["name"] for call in asking["assistantToolCalls"]] == ["cart_total"]


def test_a_call_that_is_not_made_is_told_with_its_code(api: Api, tenant: Tenant) -> None:
    strict = {**TOOL, "schema": {"type": "object", "required": ["currency"]}}
    thread_id = new_thread(api, tenant)
    asked = said("/tool rm {} /tool cart_total {}", clientTools=[strict])
    told = chunks_of(streamed(api, chat_path(tenant, thread_id), asked))
    failed = [chunk["result"]["code"] for chunk in told if chunk["type"] == "function_failed"]
    assert failed == ["tool_not_enabled", "tool_arguments_invalid"]
    assert told[-1]["choices"][0]["finish_reason"] == "stop"
    results = [json.loads(message["content"]) for message in messages_of(api, thread_id) if message["role"] == "tool"]
    assert [result["code"] for result in results] == failed
    (run,) = api.get(f"/threads/{thread_id}/runs").json()["data"]
    assert [each["code"] for each in run["refused_tools"]] == failed


def test_a_tool_of_the_agents_is_not_replaced(api: Api, tenant: Tenant) -> None:
    response = api.post(chat_path(tenant), said("Hello", clientTools=[{"name": "current_time"}]))
    assert (response.status_code, response.json()["code"]) == (400, "client_tool_name_taken")
