"""Tools that the client runs: `client_tools`, tools of kind `client`, and
`…/threads/{thread_id}/runs/{run_id}/tool_outputs`."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import connection

from tests.api.rest.conftest import new_thread, open_session, problem, same_404, say, streamed
from tests.clients.plai_stream import read
from tests.conftest import Api, Tenant
from threadhub.agents.models import Tool
from threads.models import Message, Run

pytestmark = pytest.mark.usefixtures("worker")

SCHEMA = {"type": "object", "properties": {"door": {"type": "integer"}}, "required": ["door"]}
DOOR = {"name": "open_door", "description": "Opens a door.", "parameters": SCHEMA}
ASKING = '/tool open_door {"door": 1}'


def invoke(api: Api, thread: dict[str, Any], prompt: str = ASKING, **body: Any) -> Any:
    return api.post(f"/threads/{thread['id']}/invoke", {"prompt": prompt, "client_tools": [DOOR], **body})


def waiting(api: Api, thread: dict[str, Any], prompt: str = ASKING, **body: Any) -> dict[str, Any]:
    """What a run answers that waits for the client."""
    response = invoke(api, thread, prompt, **body)
    assert response.status_code == 200, response.content
    data: dict[str, Any] = response.json()["data"]
    assert data["status"] == "requires_action"
    return data


def outputs_path(thread: dict[str, Any], data: dict[str, Any]) -> str:
    return f"/threads/{thread['id']}/runs/{data['run_id']}/tool_outputs"


def outputs(data: dict[str, Any], *values: Any) -> dict[str, Any]:
    calls = data["required_action"]["tool_calls"]
    return {
        "tool_outputs": [
            {"tool_call_id": call["id"], "output": value} for call, value in zip(calls, values, strict=True)
        ]
    }


def test_the_run_stops_and_says_what_it_wants(api: Api, thread: dict[str, Any]) -> None:
    data = waiting(api, thread)
    (call,) = data["required_action"]["tool_calls"]
    assert (call["name"], call["arguments"]) == ("open_door", {"door": 1})
    assert data["required_action"]["approvals"] == []
    assert data["message"]["tool_calls"][0]["id"] == call["id"]
    run = api.get(f"/threads/{thread['id']}/runs/{data['run_id']}").json()
    assert (run["status"], run["required_action"]) == ("requires_action", data["required_action"])


@pytest.mark.parametrize("output", ["opened", {"state": "open"}, [1, 2], 7, False, None, ""])
def test_the_outputs_continue_the_answer(api: Api, thread: dict[str, Any], output: Any) -> None:
    data = waiting(api, thread)
    answer = api.post(outputs_path(thread, data), outputs(data, output))
    assert answer.status_code == 200, answer.content
    told = answer.json()["data"]
    assert told["status"] == "succeeded"
    assert told["answer"].startswith("open_door: ")
    roles = [message["role"] for message in api.get(f"/threads/{thread['id']}/messages").json()["data"]]
    assert roles == ["user", "assistant", "tool", "assistant"]
    first = api.get(f"/threads/{thread['id']}/runs/{data['run_id']}").json()
    second = api.get(f"/threads/{thread['id']}/runs/{told['run_id']}").json()
    assert (first["required_action"], first["continued_by"]) == (None, told["run_id"])
    assert (second["continues"], second["continued_by"]) == (data["run_id"], None)


def test_a_failure_of_the_client_is_told_to_the_model(api: Api, thread: dict[str, Any]) -> None:
    data = waiting(api, thread)
    body = outputs(data, "it is locked")
    body["tool_outputs"][0]["is_error"] = True
    assert '{"error":"it is locked"}' in api.post(outputs_path(thread, data), body).json()["data"]["answer"]


def test_streams_close_and_tell_the_same(api: Api, tenant: Tenant, thread: dict[str, Any]) -> None:
    body = {"prompt": ASKING, "client_tools": [DOOR]}
    asked = read([asyncio.run(streamed(tenant.key, f"/threads/{thread['id']}/invoke", body))])
    assert asked.names[-3:] == ["message_id", "usage", "message_stop"]
    stop = asked.events[-1].data
    (run,) = api.get(f"/threads/{thread['id']}/runs").json()["data"]
    assert (stop["status"], stop["required_action"]) == ("requires_action", run["required_action"])
    (block,) = asked.blocks
    assert (block.type, block.start["tool_type"], block.start["input_schema"]) == ("tool_use", "client", SCHEMA)
    data = {"run_id": run["id"], "required_action": stop["required_action"]}
    going = asyncio.run(streamed(tenant.key, outputs_path(thread, data), outputs(data, "opened")))
    assert read([going]).text == "open_door: opened"


def test_the_outputs_of_all_calls_come_together(api: Api, thread: dict[str, Any]) -> None:
    data = waiting(api, thread, '/tool open_door {"door": 1} /tool open_door {"door": 2}')
    whole = outputs(data, "one", "two")["tool_outputs"]
    unknown = {"tool_call_id": "call_x", "output": ""}
    before = Message.objects.count()
    for rows, kind in (
        (whole[:1], "missing"),
        ([*whole, whole[0]], "duplicate"),
        ([*whole, unknown], "unknown_tool_call"),
    ):
        body = problem(api.post(outputs_path(thread, data), {"tool_outputs": rows}), 422, "invalid")
        assert [row["type"] for row in body["errors"]] == [kind]
    assert Message.objects.count() == before
    answer = api.post(outputs_path(thread, data), {"tool_outputs": whole[::-1]}).json()["data"]["answer"]
    assert sorted(answer.splitlines()) == ["open_door: one", "open_door: two"]


def test_what_was_brought_is_not_taken_again(api: Api, thread: dict[str, Any]) -> None:
    data = waiting(api, thread)
    body = outputs(data, "opened")
    with ThreadPoolExecutor(4) as pool:

        def bring(_: int) -> int:
            try:
                return int(api.post(outputs_path(thread, data), body).status_code)
            finally:
                connection.close()

        assert sorted(pool.map(bring, range(4))) == [200, 409, 409, 409]
    problem(api.post(outputs_path(thread, data), body), 409, "action_not_required")
    assert Message.objects.filter(role="tool").count() == 1


def test_a_retry_with_its_key_joins_the_run_that_goes_on(api: Api, thread: dict[str, Any]) -> None:
    data = waiting(api, thread)
    key = {"HTTP_IDEMPOTENCY_KEY": "once"}
    first = api.post(outputs_path(thread, data), outputs(data, "opened"), **key)
    again = api.post(outputs_path(thread, data), outputs(data, "opened"), **key)
    assert (first.status_code, again.json()) == (200, first.json())
    other = api.post(outputs_path(thread, data), outputs(data, "shut"), **key)
    problem(other, 422, "idempotency_key_reused")


def test_a_thread_that_waits_can_simply_be_asked_again(api: Api, thread: dict[str, Any]) -> None:
    data = waiting(api, thread)
    answer = api.post(f"/threads/{thread['id']}/invoke", {"prompt": "/context"}).json()["data"]["answer"]
    assert '"roles": "uu"' in answer  # the call that got no result is not told
    problem(api.post(outputs_path(thread, data), outputs(data, "late")), 409, "action_not_required")
    run = api.get(f"/threads/{thread['id']}/runs/{data['run_id']}").json()
    assert (run["status"], run["required_action"]) == ("requires_action", None)


def test_a_run_that_waits_can_be_cancelled(api: Api, thread: dict[str, Any]) -> None:
    data = waiting(api, thread)
    path = f"/threads/{thread['id']}/runs/{data['run_id']}/cancel"
    assert api.post(path).json()["status"] == "cancelled"
    problem(api.post(outputs_path(thread, data), outputs(data, "late")), 409, "action_not_required")
    problem(api.post(path), 409, "run_ended")


def test_own_tools_beside_it_are_called_at_once(api: Api, thread: dict[str, Any]) -> None:
    data = waiting(api, thread, f"/tool current_time {{}} {ASKING}")
    assert [result["name"] for result in data["tool_results"]] == ["current_time"]
    assert len(data["required_action"]["tool_calls"]) == 1
    answer = api.post(outputs_path(thread, data), outputs(data, "opened")).json()["data"]["answer"]
    assert "current_time: " in answer
    assert "open_door: opened" in answer


def test_arguments_that_do_not_fit_never_reach_the_client(api: Api, thread: dict[str, Any]) -> None:
    data = invoke(api, thread, '/tool open_door {"door": "all"}').json()["data"]
    assert data["status"] == "succeeded"
    (result,) = data["tool_results"]
    assert (result["is_error"], result["content"]["code"]) == (True, "tool_arguments_invalid")
    assert [each["code"] for each in data["refused_tools"]] == ["tool_arguments_invalid"]


def test_an_agents_tool_may_be_the_clients_to_run(api: Api, tenant: Tenant, thread: dict[str, Any]) -> None:
    made = api.post("/tools", {"kind": "client", **DOOR})
    assert made.status_code == 201, made.content
    tool = Tool.objects.get(name="open_door")
    tenant.agent.tools.add(tool, through_defaults={"workspace_id": tenant.workspace.pk})
    data = waiting(api, thread, client_tools=None)
    assert api.post(outputs_path(thread, data), outputs(data, "opened")).json()["data"]["answer"] == "open_door: opened"
    narrowed = invoke(api, thread, client_tools=[], enabled_tools=["current_time"]).json()["data"]
    assert [each["code"] for each in narrowed["refused_tools"]] == ["tool_not_enabled"]
    for change in ({"approval": "always"}, {"config": {"url": "https://example.org"}}, {"secret_headers": {"a": "b"}}):
        assert api.patch(made["Location"], change, content_type="application/json").status_code == 422


@pytest.mark.parametrize(
    ("tools", "words"),
    [
        ([{"name": "two words"}], "letters, digits"),
        ([{"name": "x" * 65}], "64"),
        ([{"description": "x"}], "required"),
        ([{"name": "x", "parameters": {"type": "array"}}], "object"),
        ([{"name": "x", "parameters": {"type": "object", "$ref": "https://example.org/x"}}], "ref"),
        ([{"name": "x", "schema": {}}], "schema"),
        ([{"name": "x"}, {"name": "x"}], "same name"),
        ([{"name": f"x{number}"} for number in range(101)], "100"),
        ("open_door", "list"),
    ],
)
def test_tools_that_could_never_be_told_are_refused(api: Api, thread: dict[str, Any], tools: Any, words: str) -> None:
    response = invoke(api, thread, "Hello", client_tools=tools)
    body = problem(response, 422, "invalid")
    assert all(row["loc"][:2] == ["body", "client_tools"] for row in body["errors"])
    assert any(words in row["msg"] for row in body["errors"]), body["errors"]
    assert not Run.objects.exists()


def test_a_clients_tool_does_not_take_the_place_of_the_agents(api: Api, thread: dict[str, Any]) -> None:
    response = invoke(api, thread, "Hello", client_tools=[{"name": "current_time"}])
    problem(response, 422, "client_tool_name_taken")
    assert not Run.objects.exists()


def test_visitors_bring_theirs_in_their_session(api: Api, tenant: Tenant) -> None:
    session = open_session(api, tenant)
    visitor = Api(session["chat_token"])
    path = f"/chat_sessions/{session['id']}/threads/{session['thread_id']}"
    data = visitor.post(f"{path}/invoke", {"prompt": ASKING, "client_tools": [DOOR]}).json()["data"]
    other = Api(open_session(api, tenant, "another")["chat_token"])
    body = outputs(data, "opened")
    assert other.post(f"{path}/runs/{data['run_id']}/tool_outputs", body).status_code == 404
    answer = visitor.post(f"{path}/runs/{data['run_id']}/tool_outputs", body)
    assert answer.json()["data"]["answer"] == "open_door: opened"


def test_only_who_may_ask_in_the_thread_brings_outputs(
    api: Api, mallorys: Api, as_user: Any, victor: Any, thread: dict[str, Any]
) -> None:
    data = waiting(api, thread)
    body = outputs(data, "opened")
    absent = outputs_path(thread, {"run_id": "run_01k00000000000000000000000"})
    assert as_user(victor).post(outputs_path(thread, data), body).status_code == 403
    same_404(mallorys.post(outputs_path(thread, data), body), mallorys.post(absent, body))
    assert not Message.objects.filter(role="tool").exists()
    assert api.post(outputs_path(thread, data), body).status_code == 200


def test_a_session_narrows_the_tools_of_all_its_runs(api: Api, tenant: Tenant) -> None:
    for enabled, code in ((None, None), (["current_time"], None), ([], "tool_not_enabled")):
        session = open_session(api, tenant, f"of {enabled}", enabled_tools=enabled)
        assert session["enabled_tools"] == enabled
        path = f"/chat_sessions/{session['id']}/threads/{session['thread_id']}/invoke"
        for asker in (Api(session["chat_token"]), api):
            body = {"prompt": "/tool current_time {}", "enabled_tools": ["current_time"]}
            data = asker.post(path, body).json()["data"]
            assert [each["code"] for each in data["refused_tools"]] == ([code] if code else [])


def test_a_tool_outside_the_set_is_refused_and_that_is_recorded(api: Api, tenant: Tenant) -> None:
    thread = new_thread(api, tenant)
    say(api, thread, "before")
    data = api.post(f"/threads/{thread['id']}/invoke", {"prompt": "/tool rm {}"}).json()["data"]
    (result,) = data["tool_results"]
    assert (result["is_error"], result["content"]["code"]) == (True, "tool_not_enabled")
    refused = [{"tool_call_id": result["tool_call_id"], "name": "rm", "code": "tool_not_enabled"}]
    assert data["refused_tools"] == refused
    assert api.get(f"/threads/{thread['id']}/runs/{data['run_id']}").json()["refused_tools"] == refused
    stored = Message.objects.get(role="tool")
    assert (stored.tool_result or {})["code"] == "tool_not_enabled"
