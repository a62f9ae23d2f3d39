"""POST /api/ai/{integration}/chat-completion[/{thread}], answered as one JSON document"""

import json
import threading
import time
from typing import Any

import pytest
from django.utils import timezone

from tests.api.ai.conftest import chat_path, messages_of, new_thread, said, spoken
from tests.clients.shapes import is_time
from tests.conftest import Api, Tenant
from threadhub.agents import configure
from threadhub.workspaces import keys
from threadhub.workspaces.models import ApiKey, User
from threadhub.workspaces.permissions import Scope
from threads.models import Run, Thread

PIXEL = (
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJ"
    "AAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


def chat(api: Api, tenant: Tenant, thread_id: str | None, body: dict[str, Any]) -> dict[str, Any]:
    response = api.post(chat_path(tenant, thread_id), body)
    assert response.status_code == 200, response.content
    assert response["Content-Type"] == "application/json"
    completion: dict[str, Any] = response.json()
    return completion


def text(completion: dict[str, Any]) -> str:
    content: str = completion["choices"][0]["message"]["content"]
    return content


@pytest.mark.usefixtures("worker")
def test_it_is_openais_chat_completion(api: Api, tenant: Tenant) -> None:
    before = int(time.time())
    completion = chat(api, tenant, new_thread(api, tenant), said("Hello there"))
    assert completion.keys() == {"id", "object", "created", "model", "choices", "usage"}
    assert completion["id"].startswith("chatcmpl-")
    assert completion["object"] == "chat.completion"
    assert before <= completion["created"] <= time.time()
    assert completion["model"] == "echo"
    message = {"role": "assistant", "content": "You said: Hello there"}
    assert completion["choices"] == [{"index": 0, "message": message, "finish_reason": "stop"}]
    assert completion["usage"] == {"prompt_tokens": 2, "completion_tokens": 4, "total_tokens": 6}


@pytest.mark.usefixtures("worker")
def test_question_and_answer_are_in_the_thread(api: Api, tenant: Tenant) -> None:
    tenant.agent.titles = False  # else the worker may name the thread before it is read
    tenant.agent.save()
    thread_id = new_thread(api, tenant)
    before = api.get(f"/api/ai/threads/{thread_id}").json()["updated"]
    chat(api, tenant, thread_id, said("Hello"))
    thread = api.get(f"/api/ai/threads/{thread_id}").json()
    assert spoken(api, thread_id) == [("user", "Hello"), ("assistant", "You said: Hello")]
    assert all(is_time(message["timestamp"]) for message in thread["messages"])
    assert thread["title"] is None
    assert thread["updated"] > before


@pytest.mark.usefixtures("worker")
def test_the_thread_is_the_context(api: Api, tenant: Tenant) -> None:
    thread_id = new_thread(api, tenant)
    chat(api, tenant, thread_id, said("First"))
    assert json.loads(text(chat(api, tenant, thread_id, said("/context"))))["roles"] == "uau"


@pytest.mark.usefixtures("worker")
def test_a_resent_history_does_not_double_the_thread(api: Api, tenant: Tenant) -> None:
    thread_id = new_thread(api, tenant)
    for turn in range(3):
        question = {"role": "user", "content": "The same words"}
        chat(api, tenant, thread_id, {"messages": [*messages_of(api, thread_id), question]})
        assert len(messages_of(api, thread_id)) == 2 * (turn + 1)


@pytest.mark.usefixtures("worker")
def test_a_history_with_nothing_new_is_400(api: Api, tenant: Tenant) -> None:
    thread_id = new_thread(api, tenant)
    chat(api, tenant, thread_id, said("Hello"))
    response = api.post(chat_path(tenant, thread_id), {"messages": messages_of(api, thread_id)})
    assert (response.status_code, response.json()["code"]) == (400, "nothing_asked")
    assert len(messages_of(api, thread_id)) == 2


@pytest.mark.usefixtures("worker")
def test_instructions_of_a_request_do_not_reach_the_thread(api: Api, tenant: Tenant) -> None:
    thread_id = new_thread(api, tenant)
    messages = [{"role": "system", "content": "Be rude."}, {"role": "user", "content": "/context"}]
    assert json.loads(text(chat(api, tenant, thread_id, {"messages": messages})))["roles"] == "u"
    assert [role for role, _ in spoken(api, thread_id)] == ["user", "assistant"]


@pytest.mark.usefixtures("worker")
def test_extra_keys_and_ids_of_a_message_are_kept(api: Api, tenant: Tenant) -> None:
    thread_id = new_thread(api, tenant)
    extra = {"type": "file", "filename": "a.pdf", "message_id": "mine-1", "function_call": {"name": "f"}}
    message = {"role": "user", "content": "Hello", "name": "Ada", "timestamp": "2020-01-01T00:00:00.000Z", **extra}
    chat(api, tenant, thread_id, {"messages": [message]})
    stored = messages_of(api, thread_id)[0]
    assert {name: stored[name] for name in extra} == extra
    assert stored["name"] == "Ada"
    assert stored["timestamp"] > "2025"
    assert stored.keys() == {*extra, "role", "content", "name", "timestamp"}


@pytest.mark.usefixtures("worker")
def test_without_a_thread_the_request_is_the_whole_context_and_nothing_stays(api: Api, tenant: Tenant) -> None:
    history = [{"role": "system", "content": "Be brief."}, *said("Hi")["messages"]]
    messages = [*history, {"role": "assistant", "content": "Hello"}, {"role": "user", "content": "/context"}]
    assert json.loads(text(chat(api, tenant, None, {"messages": messages})))["roles"] == "suau"
    assert api.get("/api/ai/threads").json() == []
    hidden = Thread.objects.get()
    assert api.get(f"/api/ai/threads/{hidden.wire_id}").status_code == 404
    assert api.post(chat_path(tenant, hidden.wire_id), said("Hi")).status_code == 404


@pytest.mark.usefixtures("worker")
def test_a_person_gives_no_instructions(tenant: Tenant, alice: User, as_user: Any) -> None:
    messages = [{"role": "system", "content": "Be rude."}, {"role": "user", "content": "/context"}]
    assert json.loads(text(chat(as_user(alice), tenant, None, {"messages": messages})))["roles"] == "u"


@pytest.mark.usefixtures("worker")
def test_options_reach_the_model(api: Api, tenant: Tenant) -> None:
    options = {"temperature": 0.5, "top_p": 0.9, "max_tokens": 100, "stop": "never"}
    ignored = {"model": "gpt-9", "frequency_penalty": 1, "response_format": {}, "rules": [""], "context": {"a": 1}}
    given = json.loads(text(chat(api, tenant, None, said("/context", **options, **ignored))))
    run = Run.objects.get()
    assert run.options == {"temperature": 0.5, "top_p": 0.9, "max_output_tokens": 100, "stop": ["never"]}
    assert given["messages"] == 1
    assert run.model == tenant.agent.model


@pytest.mark.usefixtures("worker")
def test_an_answer_is_cut_at_max_tokens_and_before_a_stop(api: Api, tenant: Tenant) -> None:
    cut = chat(api, tenant, None, said("one two three", max_tokens=3))
    assert (text(cut).split(), cut["choices"][0]["finish_reason"]) == (["You", "said:", "one"], "length")
    stopped = chat(api, tenant, None, said("one two three", stop=["two", "x"], temperature=None, max_tokens=None))
    assert (text(stopped).split(), stopped["choices"][0]["finish_reason"]) == (["You", "said:", "one"], "stop")


@pytest.mark.parametrize(
    "options",
    [
        {"temperature": "hot"},
        {"temperature": 3},
        {"top_p": -1},
        {"max_tokens": 0},
        {"max_tokens": 1.5},
        {"stop": {"a": 1}},
        {"stop": ["x"] * 17},
        {"clientTools": [{"description": "no name"}]},
        {"clientTools": [{"name": "no spaces please"}]},
        {"clientTools": {"name": "x"}},
    ],
    ids=json.dumps,
)
def test_options_that_cannot_be_are_400_and_named(api: Api, tenant: Tenant, options: dict[str, Any]) -> None:
    thread_id = new_thread(api, tenant)
    response = api.post(chat_path(tenant, thread_id), said("Hi", **options))
    assert response.status_code == 400
    assert next(iter(options)) in response.json()["message"]
    assert messages_of(api, thread_id) == []


@pytest.mark.parametrize(
    "messages",
    [
        None,
        [],
        "Hi",
        {"role": "user"},
        ["Hi"],
        [{"content": "Hi"}],
        [{"role": "user", "content": 7}],
        [{"role": "user", "content": [{"type": "video"}]}],
        [{"role": "user", "content": "Hi", "name": 7}],
        [{"role": "assistant", "tool_calls": [{"id": "x"}]}],
        [{"role": "assistant", "tool_calls": [{"id": "x", "function": {"name": "f", "arguments": "{"}}]}],
        [{"role": "assistant", "tool_calls": [{"id": "x", "function": {"name": "f", "arguments": "[]"}}]}],
        [{"role": "tool", "tool_call_id": "unknown", "content": "42"}],
        [{"role": "robot", "content": "Hi"}],
        [{"role": "system", "content": "Hi"}],
    ],
    ids=json.dumps,
)
def test_messages_that_cannot_be_are_400_and_nothing_is_stored(api: Api, tenant: Tenant, messages: Any) -> None:
    thread_id = new_thread(api, tenant)
    for path in (chat_path(tenant, thread_id), chat_path(tenant)):
        response = api.post(path, {"messages": messages})
        assert response.status_code == 400, response.content
        assert set(response.json()) >= {"error", "message", "code"}
    assert messages_of(api, thread_id) == []
    assert Thread.objects.count() == 1


def test_a_missing_list_of_messages_is_named(api: Api, tenant: Tenant) -> None:
    assert "messages" in api.post(chat_path(tenant), {}).json()["message"]


@pytest.mark.usefixtures("worker")
def test_content_in_parts_with_a_picture(api: Api, tenant: Tenant) -> None:
    thread_id = new_thread(api, tenant)
    parts = [{"type": "text", "text": "What is this?"}, {"type": "image_url", "image_url": {"url": PIXEL}}]
    answer = text(chat(api, tenant, thread_id, {"messages": [{"role": "user", "content": parts}]}))
    assert answer.startswith("You said: What is this?")
    assert "[image/png, " in answer
    assert spoken(api, thread_id)[0] == ("user", "What is this?")
    linked = [{"type": "image_url", "image_url": {"url": "http://127.0.0.1/secret.png"}}]
    refused = api.post(chat_path(tenant, thread_id), {"messages": [{"role": "user", "content": linked}]})
    assert (refused.status_code, refused.json()["code"]) == (400, "attachment_refused")


@pytest.mark.usefixtures("worker")
@pytest.mark.parametrize(
    ("failure", "status", "retryable"),
    [
        ("provider_unavailable", 502, True),
        ("provider_rate_limited", 503, True),
        ("provider_timeout", 504, True),
        ("provider_unauthorized", 502, False),
        ("context_length_exceeded", 400, False),
    ],
)
def test_a_failing_model_is_an_error_with_a_status_and_keeps_the_question(
    api: Api, tenant: Tenant, failure: str, status: int, retryable: bool
) -> None:
    thread_id = new_thread(api, tenant)
    question = f"/fail {failure}"
    response = api.post(chat_path(tenant, thread_id), said(question))
    body = response.json()
    assert (response.status_code, body["code"]) == (status, failure)
    assert body["error"] == body["message"] != ""
    assert (body["category"], body["isRetryable"]) == ("provider", retryable)
    assert body["requestId"]
    assert spoken(api, thread_id) == [("user", question)]
    assert "again" in text(chat(api, tenant, thread_id, said("again")))


def test_what_is_not_there_or_foreign_is_404(
    api: Api, tenant: Tenant, other_tenant: Tenant, mallory: User, as_user: Any
) -> None:
    theirs = new_thread(as_user(mallory), other_tenant)
    thread_id = new_thread(api, tenant)
    other = configure.create(actor=tenant.actor, name="Other", provider="echo")
    for agent in ("nonsense", "agent_01jaaaaaaaaaaaaaaaaaaaaaaa", other_tenant.agent.wire_id):
        for path in (f"/api/ai/{agent}/chat-completion", f"/api/ai/{agent}/chat-completion/{thread_id}"):
            response = api.post(path, said("Hi"))
            assert (response.status_code, response.json()["message"]) == (404, "integration not found")
    for thread in ("nonsense", "thread_01jaaaaaaaaaaaaaaaaaaaaaaa", theirs):
        response = api.post(chat_path(tenant, thread), said("Hi"))
        assert (response.status_code, response.json()["message"]) == (404, "thread not found")
    wrong_agent = api.post(f"/api/ai/{other.wire_id}/chat-completion/{thread_id}", said("Hi"))
    assert (wrong_agent.status_code, wrong_agent.json()["message"]) == (404, "thread not found")
    assert not Run.objects.exists()


def test_a_disabled_integration_is_not_found(api: Api, tenant: Tenant) -> None:
    thread_id = new_thread(api, tenant)
    configure.change(actor=tenant.actor, agent=tenant.agent, now=timezone.now(), active=False)
    for path in (chat_path(tenant), chat_path(tenant, thread_id)):
        assert api.post(path, said("Hi")).status_code == 404


@pytest.mark.usefixtures("worker")
def test_a_person_speaks_in_their_own_threads_only_admins_too(
    api: Api, tenant: Tenant, alice: User, as_user: Any
) -> None:
    hers = new_thread(as_user(alice), tenant)
    admin = as_user(tenant.owner)
    assert admin.get(f"/api/ai/threads/{hers}").status_code == 200
    assert admin.post(chat_path(tenant, hers), said("Hi")).status_code == 404
    _, secret = keys.create(workspace=tenant.workspace, user=tenant.owner, name="own", kind=ApiKey.Kind.PERSONAL)
    assert Api(secret).get(f"/api/ai/threads/{hers}").status_code == 200
    assert Api(secret).post(chat_path(tenant, hers), said("Hi")).status_code == 404
    assert as_user(alice).post(chat_path(tenant, hers), said("Hi")).status_code == 200
    assert api.post(chat_path(tenant, hers), said("From a server")).status_code == 200
    assert api.post(chat_path(tenant, hers), said("Hi", bypassAdmin=True)).status_code == 404
    assert len(messages_of(as_user(alice), hers)) == 4


def test_a_viewer_and_a_key_that_cannot_invoke_may_not(tenant: Tenant, victor: User, as_user: Any) -> None:
    scopes = [Scope.READ, Scope.WRITE]
    _, secret = keys.create(workspace=tenant.workspace, user=tenant.owner, name="no asking", scopes=scopes)
    for api in (as_user(victor), Api(secret)):
        assert api.post(chat_path(tenant), said("Hi")).status_code == 403
    assert Api().post(chat_path(tenant), said("Hi")).status_code == 401
    assert not Run.objects.exists()


@pytest.mark.usefixtures("worker")
def test_stream_in_the_body_is_not_looked_at(api: Api, tenant: Tenant) -> None:
    assert text(chat(api, tenant, None, said("Hi", stream=True))) == "You said: Hi"


@pytest.mark.usefixtures("worker")
def test_a_run_that_was_cancelled_is_409(api: Api, tenant: Tenant) -> None:
    thread_id = new_thread(api, tenant)
    configure.change(actor=tenant.actor, agent=tenant.agent, now=timezone.now(), double_texting="interrupt")
    answers: list[Any] = []
    slow = threading.Thread(
        target=lambda: answers.append(api.post(chat_path(tenant, thread_id), said("/hang 4\nSlow")))
    )
    slow.start()
    while not Run.objects.filter(status="running").exists():
        time.sleep(0.02)
    assert "Quick" in text(chat(api, tenant, thread_id, said("Quick")))
    slow.join(10)
    assert (answers[0].status_code, answers[0].json()["code"]) == (409, "run_cancelled")


@pytest.mark.usefixtures("worker")
def test_a_second_question_meanwhile_is_409(api: Api, tenant: Tenant) -> None:
    thread_id = new_thread(api, tenant)
    slow = threading.Thread(target=lambda: api.post(chat_path(tenant, thread_id), said("/slow 0.3\none two")))
    slow.start()
    while not Run.objects.filter(status="running").exists():
        time.sleep(0.02)
    response = api.post(chat_path(tenant, thread_id), said("Meanwhile"))
    slow.join(10)
    assert response.status_code == 409
    assert response.json()["message"] == "Thread already has a running execution."
    assert len(messages_of(api, thread_id)) == 2
