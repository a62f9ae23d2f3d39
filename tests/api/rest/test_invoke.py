"""Asking an agent, answered as JSON: `…/threads/{thread_id}/invoke` and `/agents/{agent_id}/invoke`."""

import asyncio
from typing import Any

import pytest

from tests.api.rest.conftest import MESSAGE_FIELDS, PDF, PNG, fault, new_thread, problem, same_404, streamed
from tests.clients.plai_stream import read
from tests.conftest import Api, Tenant
from threadhub.lib import ids
from threadhub.workspaces.models import User
from threads.models import Message, Run, Thread

TIME = '/tool current_time {"zone": "Europe/Madrid"}'


def invoke(api: Api, thread: dict[str, Any], prompt: str, **body: Any) -> Any:
    return api.post(f"/threads/{thread['id']}/invoke", {"prompt": prompt, **body})


def spoken(api: Api, thread_id: str) -> list[tuple[str, str]]:
    messages = api.get(f"/threads/{thread_id}/messages").json()["data"]
    return [(message["role"], message["content"]) for message in messages]


@pytest.mark.usefixtures("worker")
class TestAnswer:
    def test_it_is_the_answer_with_all_that_belongs_to_it(self, api: Api, thread: dict[str, Any]) -> None:
        response = invoke(api, thread, "Hello")
        assert response.status_code == 200
        assert response["Content-Type"] == "application/json"
        answer = response.json()
        assert list(answer) == ["success", "error", "data", "message_id", "thread_id"]
        assert (answer["success"], answer["error"], answer["thread_id"]) == (True, None, thread["id"])
        data = answer["data"]
        (message,) = data["messages"]
        assert list(message) == MESSAGE_FIELDS
        assert data == {
            "answer": "You said: Hello",
            "message": message,
            "messages": [message],
            "tool_results": [],
            "run_id": message["run_id"],
            "status": "succeeded",
            "finish_reason": "stop",
            "usage": {"input_tokens": 1, "output_tokens": 3, "cached_tokens": 0, "cost": None, "estimated": False},
            "ignored_tools": [],
            "refused_tools": [],
            "required_action": None,
        }
        assert message["id"] == answer["message_id"]
        assert spoken(api, thread["id"]) == [("user", "Hello"), ("assistant", "You said: Hello")]

    def test_tools_are_called_and_their_results_reported(self, api: Api, thread: dict[str, Any]) -> None:
        data = invoke(api, thread, TIME).json()["data"]
        (result,) = data["tool_results"]
        assert (result["name"], result["is_error"]) == ("current_time", False)
        assert result["content"]["zone"] == "Europe/Madrid"
        calling, tool, answer = data["messages"]
        (call,) = calling["tool_calls"]
        assert (call["function"], call["name"], call["arguments"]) == (
            "current_time",
            "current_time",
            {"zone": "Europe/Madrid"},
        )
        assert call["id"] == tool["tool_call_id"] == result["tool_call_id"]
        assert tool["tool_result"] == result["content"]
        assert "Europe/Madrid" in answer["content"]

    def test_enabled_tools_narrow_by_name_or_id(self, api: Api, thread: dict[str, Any]) -> None:
        tool = api.get("/tools").json()["data"][0]
        for enabled in ([tool["name"]], [tool["id"]], [tool["id"], "web_search"]):
            data = invoke(api, thread, TIME, enabled_tools=enabled).json()["data"]
            assert data["tool_results"][0]["is_error"] is False
        assert data["ignored_tools"] == ["web_search"]
        for enabled in ([], ["web_search", "product_database"]):
            data = invoke(api, thread, TIME, enabled_tools=enabled).json()["data"]
            assert data["tool_results"][0]["is_error"] is True
            assert data["ignored_tools"] == enabled

    def test_each_document_is_a_message_before_the_question(self, api: Api, thread: dict[str, Any]) -> None:
        documents = [{"url": PNG, "filename": "photo.png"}, {"url": PDF, "filename": None}]
        assert invoke(api, thread, "What is this?", documents=documents).status_code == 200
        image, pdf, question, _ = api.get(f"/threads/{thread['id']}/messages").json()["data"]
        assert (image["role"], image["message_type"], image["content"], image["title"]) == (
            "user",
            "image",
            None,
            "photo.png",
        )
        assert (pdf["message_type"], pdf["title"]) == ("pdf", "document.pdf")
        assert (question["message_type"], question["content"], question["documents"]) == ("text", "What is this?", [])
        run = api.get(f"/threads/{thread['id']}/runs").json()["data"][0]
        context = api.get(f"/threads/{thread['id']}/runs/{run['id']}/context").json()
        assert [message.get("inputs", [{}])[0].get("media_type") for message in context["messages"]] == [
            "image/png",
            "application/pdf",
            None,
        ]

    @pytest.mark.parametrize(
        ("code", "status"),
        [("provider_unavailable", 502), ("provider_timeout", 504), ("context_length_exceeded", 422)],
    )
    def test_a_failure_has_a_status_and_keeps_the_question(
        self, api: Api, thread: dict[str, Any], code: str, status: int, settings: Any
    ) -> None:
        settings.PROVIDER_RETRIES = 0
        body = problem(invoke(api, thread, f"/fail {code}"), status, code)
        assert body["thread_id"] == thread["id"]
        run = api.get(f"/threads/{thread['id']}/runs/{body['run_id']}").json()
        assert (run["status"], run["error"]["code"], run["message_id"]) == ("failed", code, None)
        assert spoken(api, thread["id"]) == [("user", f"/fail {code}")]
        assert invoke(api, thread, "Again").json()["data"]["answer"] == "You said: Again"

    def test_a_retry_with_the_same_idempotency_key_joins_the_run(self, api: Api, thread: dict[str, Any]) -> None:
        path = f"/threads/{thread['id']}/invoke"
        first, again = (api.post(path, {"prompt": "Once"}, HTTP_IDEMPOTENCY_KEY="k") for _ in range(2))
        assert again.json() == first.json()
        assert Run.objects.count() == 1
        problem(api.post(path, {"prompt": "Twice"}, HTTP_IDEMPOTENCY_KEY="k"), 422, "idempotency_key_reused")


@pytest.mark.usefixtures("worker")
class TestAgentInvoke:
    @staticmethod
    def post(api: Api, tenant: Tenant, **body: Any) -> Any:
        return api.post(f"/agents/{tenant.agent.wire_id}/invoke", body)

    def test_it_makes_a_thread_and_goes_on_in_it(self, api: Api, tenant: Tenant) -> None:
        first = self.post(api, tenant, input="One", external_ref="ticket").json()
        assert api.get(f"/threads/{first['thread_id']}").json()["external_ref"] == "ticket"
        second = self.post(api, tenant, prompt="Two", thread_id=first["thread_id"]).json()
        assert second["thread_id"] == first["thread_id"]
        assert [text for _, text in spoken(api, first["thread_id"])] == [
            "One",
            "You said: One",
            "Two",
            "You said: Two",
        ]

    def test_tool_calls_may_be_left_out(self, api: Api, tenant: Tenant) -> None:
        data = self.post(api, tenant, input=TIME, show_tool_calls=False).json()["data"]
        assert data["tool_results"] == []
        assert [message["role"] for message in data["messages"]] == ["assistant"]
        assert len(self.post(api, tenant, input=TIME, show_tool_calls=True).json()["data"]["tool_results"]) == 1

    def test_enable_streaming_streams(self, tenant: Tenant) -> None:
        path = f"/agents/{tenant.agent.wire_id}/invoke"
        body = {"input": "Hello", "enable_streaming": True}
        stream = asyncio.run(streamed(tenant.key, path, body, Accept="*/*"))
        assert read([stream]).text == "You said: Hello"

    def test_a_failed_first_question_says_which_thread_it_is_in(self, api: Api, tenant: Tenant) -> None:
        body = problem(self.post(api, tenant, input="/fail provider_refused"), 422, "provider_refused")
        assert spoken(api, body["thread_id"]) == [("user", "/fail provider_refused")]


class TestRefusals:
    """Nothing is stored, and no run is made."""

    @pytest.fixture(autouse=True)
    def _nothing_is_stored(self, db: None) -> Any:
        yield
        assert (Run.objects.count(), Message.objects.count()) == (0, 0)

    @pytest.mark.parametrize(
        ("body", "loc", "words"),
        [
            ({}, ["prompt"], "required"),
            ({"prompt": None}, ["prompt"], "null"),
            ({"prompt": ""}, ["prompt"], "blank"),
            ({"prompt": 5}, ["prompt"], "valid string"),
            ({"prompt": ["x"]}, ["prompt"], "valid string"),
            ({"prompt": "x", "enabled_tools": "web_search"}, ["enabled_tools"], "list"),
            ({"prompt": "x", "enabled_tools": [""]}, ["enabled_tools", 0], "blank"),
            ({"prompt": "x", "enabled_tools": [7]}, ["enabled_tools", 0], "valid string"),
            ({"prompt": "x", "enabled_tools": ["a" * 201]}, ["enabled_tools", 0], "200"),
            ({"prompt": "x", "enabled_tools": ["a"] * 101}, ["enabled_tools"], "100"),
            ({"prompt": "x", "enabled_tool": []}, ["enabled_tool"], "Did you mean 'enabled_tools'"),
            ({"prompt": "x", "stream": True}, ["stream"], "Unknown field"),
            ({"prompt": "x", "documents": [{"url": "file:///etc/passwd"}]}, ["documents", 0, "url"], "data: URL"),
            ({"prompt": "x", "documents": [{"url": "data:image/png,GIF89a"}]}, ["documents", 0, "url"], "not what it"),
            ({"prompt": "x", "documents": [{"url": PNG}] * 11}, ["documents"], "10"),
        ],
    )
    def test_what_is_not_valid_is_named(
        self, api: Api, thread: dict[str, Any], body: dict[str, Any], loc: list[Any], words: str
    ) -> None:
        response = api.post(f"/threads/{thread['id']}/invoke", body)
        assert response.status_code == 422, response.content
        (row,) = response.json()["errors"]
        assert row["loc"] == ["body", *loc]
        assert words in row["msg"]

    @pytest.mark.parametrize(
        ("body", "loc", "words"),
        [
            ({}, "prompt", "as input, or as prompt"),
            ({"input": "a", "prompt": "b"}, "prompt", "not both"),
            ({"input": ""}, "input", "blank"),
            ({"input": "x", "enable_streaming": "yes"}, "enable_streaming", "boolean"),
            ({"input": "x", "thread_id": "thread_1", "external_ref": "x"}, "external_ref", "new thread"),
        ],
    )
    def test_the_agents_own_body_too(
        self, api: Api, tenant: Tenant, body: dict[str, Any], loc: str, words: str
    ) -> None:
        assert words in fault(api.post(f"/agents/{tenant.agent.wire_id}/invoke", body), "body", loc)
        assert Thread.objects.count() == 0

    def test_what_one_does_not_see_was_never_there(
        self, api: Api, tenant: Tenant, thread: dict[str, Any], mallorys: Api, other_tenant: Tenant
    ) -> None:
        foreign = new_thread(mallorys, other_tenant)["id"]
        agent, body = tenant.agent.wire_id, {"prompt": "x"}
        same_404(
            *(
                api.post(path, body)
                for thread_id in (foreign, ids.encode("thread", ids.new()), "thread_456")
                for path in (f"/threads/{thread_id}/invoke", f"/agents/{agent}/threads/{thread_id}/invoke")
            ),
            *(
                api.post(f"/agents/{agent}/invoke", {**body, "thread_id": thread_id})
                for thread_id in (foreign, "thread_456", "")
                if thread_id
            ),
            api.post(f"/agents/{other_tenant.agent.wire_id}/threads/{thread['id']}/invoke", body),
        )
        same_404(
            *(
                api.post(f"/agents/{agent_id}/invoke", body)
                for agent_id in (other_tenant.agent.wire_id, ids.encode("agent", ids.new()), "agent_123")
            )
        )

    def test_rights_and_states(
        self, api: Api, tenant: Tenant, thread: dict[str, Any], as_user: Any, victor: User
    ) -> None:
        path = f"/threads/{thread['id']}/invoke"
        problem(as_user(victor).post(path, {"prompt": "x"}), 403, "permission_missing")
        Thread.objects.update(state="archived")
        problem(api.post(path, {"prompt": "x"}), 409, "thread_archived")
        Thread.objects.update(state="active")
        api.patch(f"/agents/{tenant.agent.wire_id}", {"active": False}, content_type="application/json")
        problem(api.post(path, {"prompt": "x"}), 409, "agent_disabled")
        problem(api.post(f"/agents/{tenant.agent.wire_id}/invoke", {"prompt": "x"}), 409, "agent_disabled")
