"""Calls of tools that a person must approve: `/approvals`, and how their runs stop and go on."""

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from tests.api.rest.conftest import ids_of, new_thread, open_session, problem, same_404, streamed
from tests.clients.plai_stream import read
from tests.conftest import Api, Tenant, make_user
from tests.threads.test_tools import SCHEMA, Orders
from threadhub.agents import toolbox
from threadhub.agents.models import Tool
from threadhub.audit.models import AuditEvent
from threadhub.workspaces.models import User
from threadhub.workspaces.permissions import Role
from threads.actions import approvals
from threads.models import Message, Run, RunEvent, ToolApproval

DEADLINE = 30.0
ASKING = '/tool order_status {"order_id": "4711"}'
JSON = {"content_type": "application/json"}


@pytest.fixture
def orders() -> Iterator[Orders]:
    with Orders() as server:
        serving = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        serving.start()
        yield server
        server.shutdown()
        serving.join()


@pytest.fixture
def tool(tenant: Tenant, orders: Orders, settings: Any) -> Tool:
    """A shop's service whose every call must be approved."""
    settings.TOOL_ALLOWED_NETWORKS = "127.0.0.1"
    made = toolbox.create(
        actor=tenant.actor,
        name="order_status",
        kind=Tool.Kind.HTTP,
        parameters=SCHEMA,
        config={"url": orders.url},
        approval=Tool.Approval.ALWAYS,
    )
    tenant.agent.tools.add(made, through_defaults={"workspace_id": tenant.workspace.pk})
    return made


def until(met: Callable[[], Any]) -> Any:
    """What `met` gives, once it gives something."""
    deadline = time.monotonic() + DEADLINE
    while time.monotonic() < deadline:
        if found := met():
            return found
        time.sleep(0.02)
    raise AssertionError("it did not happen in time")


def invoke(api: Api, thread: dict[str, Any], prompt: str = ASKING, **body: Any) -> dict[str, Any]:
    response = api.post(f"/threads/{thread['id']}/invoke", {"prompt": prompt, **body})
    assert response.status_code == 200, response.content
    data: dict[str, Any] = response.json()["data"]
    return data


def asked(api: Api, thread: dict[str, Any], prompt: str = ASKING, **body: Any) -> list[str]:
    """The paths of the approvals that a run waits for."""
    data = invoke(api, thread, prompt, **body)
    assert data["status"] == "requires_action"
    return [f"/approvals/{each['id']}" for each in data["required_action"]["approvals"]]


def gone_on(api: Api, thread: dict[str, Any], decided: dict[str, Any]) -> dict[str, Any]:
    """The run that went on, once it is over."""
    path = f"/threads/{thread['id']}/runs/{decided['continued_by']}"
    until(lambda: api.get(path).json()["status"] not in ("queued", "running"))
    run: dict[str, Any] = api.get(path).json()
    return run


def last_answer(api: Api, thread: dict[str, Any]) -> str:
    content: str = api.get(f"/threads/{thread['id']}/messages").json()["data"][-1]["content"]
    return content


@pytest.mark.usefixtures("worker")
class TestGoingOn:
    def test_the_run_stops_before_anything_is_called(
        self, api: Api, thread: dict[str, Any], tool: Tool, orders: Orders
    ) -> None:
        data = invoke(api, thread, f"/tool current_time {{}} {ASKING}")
        assert (data["status"], data["tool_results"]) == ("requires_action", [])
        assert data["required_action"]["tool_calls"] == []
        (wanted,) = data["required_action"]["approvals"]
        assert (wanted["name"], wanted["arguments"]) == ("order_status", {"order_id": "4711"})
        row = api.get(f"/approvals/{wanted['id']}").json()
        assert (row["status"], row["run_id"], row["thread_id"]) == ("pending", data["run_id"], thread["id"])
        assert (row["tool_id"], row["arguments"], row["decided_by"]) == (tool.wire_id, {"order_id": "4711"}, None)
        assert len(row["arguments_digest"]) == 64
        assert orders.received == []

    def test_once_approved_it_is_called_once_and_the_run_goes_on(
        self, api: Api, tenant: Tenant, thread: dict[str, Any], tool: Tool, orders: Orders
    ) -> None:
        (path,) = asked(api, thread, f"/tool current_time {{}} {ASKING}")
        decided = api.post(f"{path}/approve").json()
        assert (decided["status"], decided["decided_by"][:4]) == ("approved", "key:")
        kept = AuditEvent.objects.get(action="tool_approval.approve")
        assert (kept.ids, kept.actor) == ([decided["id"], decided["run_id"]], decided["decided_by"])
        assert kept.details["arguments"] == decided["arguments_digest"]
        run = gone_on(api, thread, decided)
        assert (run["status"], run["continues"]) == ("succeeded", decided["run_id"])
        assert [body for _, body in orders.received] == [{"order_id": "4711"}]
        assert last_answer(api, thread).count("order_status: ") == 1
        assert last_answer(api, thread).count("current_time: ") == 1
        assert api.get(path).json()["called_at"]
        told = read([asyncio.run(streamed(tenant.key, f"/threads/{thread['id']}/runs/{run['id']}/events"))])
        assert [block.start.get("name") for block in told.blocks] == ["current_time", "order_status", None]
        assert len(told.tool_results) == 2

    def test_a_refusal_is_told_to_the_model_with_its_reason(
        self, api: Api, thread: dict[str, Any], tool: Tool, orders: Orders
    ) -> None:
        (path,) = asked(api, thread)
        decided = api.post(f"{path}/refuse", {"reason": "Not on a Sunday."}).json()
        run = gone_on(api, thread, decided)
        assert (run["status"], decided["reason"]) == ("succeeded", "Not on a Sunday.")
        assert [each["code"] for each in run["refused_tools"]] == ["approval_refused"]
        assert "Not on a Sunday." in last_answer(api, thread)
        assert orders.received == []

    def test_nobody_in_time_is_a_refusal(
        self, api: Api, thread: dict[str, Any], tool: Tool, orders: Orders, settings: Any
    ) -> None:
        settings.APPROVAL_SECONDS = 0
        (path,) = asked(api, thread)
        for deed in ("approve", "refuse"):
            response = api.post(f"{path}/{deed}")
            assert response.status_code == 409  # too late, whether or not the sweep was there before
        approvals.expire_due(now=timezone.now())
        decided = until(lambda: (row := api.get(path).json())["continued_by"] and row)
        run = gone_on(api, thread, decided)
        assert (decided["status"], decided["decided_by"]) == ("expired", None)
        assert [each["code"] for each in run["refused_tools"]] == ["approval_expired"]
        assert orders.received == []

    def test_it_goes_on_when_all_are_decided(
        self, api: Api, thread: dict[str, Any], tool: Tool, orders: Orders
    ) -> None:
        first, second = asked(api, thread, f'{ASKING} /tool order_status {{"order_id": "4712"}}')
        assert api.post(f"{first}/refuse").json()["continued_by"] is None
        assert Run.objects.count() == 1
        run = gone_on(api, thread, api.post(f"{second}/approve").json())
        assert [each["code"] for each in run["refused_tools"]] == ["approval_refused"]
        assert [body for _, body in orders.received] == [{"order_id": "4712"}]

    @pytest.mark.parametrize("approval_first", [True, False])
    def test_outputs_of_the_client_are_waited_for_too(
        self, api: Api, thread: dict[str, Any], tool: Tool, orders: Orders, approval_first: bool
    ) -> None:
        data = invoke(api, thread, f"/tool open_door {{}} {ASKING}", client_tools=[{"name": "open_door"}])
        (call,), (wanted,) = data["required_action"]["tool_calls"], data["required_action"]["approvals"]
        path = f"/threads/{thread['id']}/runs/{data['run_id']}/tool_outputs"
        body = {"tool_outputs": [{"tool_call_id": call["id"], "output": "opened"}]}
        if approval_first:
            assert api.post(f"/approvals/{wanted['id']}/approve").json()["continued_by"] is None
            assert api.post(path, body).json()["data"]["status"] == "succeeded"
        else:
            response = api.post(path, body)
            assert (response.status_code, response.json()["status"]) == (202, "requires_action")
            problem(api.post(path, body), 409, "action_not_required")
            gone_on(api, thread, api.post(f"/approvals/{wanted['id']}/approve").json())
        assert len(orders.received) == 1
        assert "open_door: opened" in last_answer(api, thread)
        assert "order_status: " in last_answer(api, thread)

    def test_the_stream_closes_and_tells_what_it_waits_for(
        self, api: Api, tenant: Tenant, thread: dict[str, Any], tool: Tool
    ) -> None:
        told = read([asyncio.run(streamed(tenant.key, f"/threads/{thread['id']}/invoke", {"prompt": ASKING}))])
        assert told.names[-3:] == ["message_id", "usage", "message_stop"]
        (row,) = api.get("/approvals").json()["data"]
        (wanted,) = told.events[-1].data["required_action"]["approvals"]
        assert (wanted["id"], wanted["expires_at"]) == (row["id"], row["expires_at"])

    def test_arguments_that_do_not_fit_are_asked_of_nobody(self, api: Api, thread: dict[str, Any], tool: Tool) -> None:
        data = invoke(api, thread, '/tool order_status {"order": 1}')
        assert [each["code"] for each in data["refused_tools"]] == ["tool_arguments_invalid"]
        assert not ToolApproval.objects.exists()

    def test_the_ai_dialect_says_that_a_person_must_approve(
        self, api: Api, tenant: Tenant, thread: dict[str, Any], tool: Tool, orders: Orders
    ) -> None:
        path = f"/api/ai/{tenant.agent.wire_id}/chat-completion/{thread['id']}"
        answer = api.post(path, {"messages": [{"role": "user", "content": ASKING}]}).json()
        (wanted,) = answer["approvals"]
        assert (answer["type"], wanted["name"]) == ("approval_required", "order_status")
        assert answer["choices"][0]["finish_reason"] == "stop"
        assert "tool_calls" not in answer["choices"][0]["message"]
        gone_on(api, thread, api.post(f"/approvals/{wanted['id']}/approve").json())
        said = api.get(f"/api/ai/threads/{thread['id']}").json()["messages"]
        assert [message["role"] for message in said] == ["user", "assistant", "tool", "assistant"]
        assert len(orders.received) == 1
        alone = api.post(
            f"/api/ai/{tenant.agent.wire_id}/chat-completion", {"messages": [{"role": "user", "content": ASKING}]}
        ).json()
        assert "approval_unavailable" in alone["choices"][0]["message"]["content"]
        assert len(orders.received) == 1

    def test_a_question_meanwhile_voids_it(self, api: Api, thread: dict[str, Any], tool: Tool, orders: Orders) -> None:
        (path,) = asked(api, thread)
        assert invoke(api, thread, "Hello")["answer"] == "You said: Hello"
        assert api.get(path).json()["status"] == "void"
        problem(api.post(f"{path}/approve"), 409, "approval_decided")
        assert orders.received == []

    def test_cancelling_the_run_voids_it(self, api: Api, thread: dict[str, Any], tool: Tool, orders: Orders) -> None:
        (path,) = asked(api, thread)
        run_id = api.get(path).json()["run_id"]
        assert api.post(f"/threads/{thread['id']}/runs/{run_id}/cancel").json()["status"] == "cancelled"
        assert api.get(path).json()["status"] == "void"
        problem(api.post(f"{path}/approve"), 409, "approval_decided")
        assert orders.received == []

    def test_it_goes_with_its_thread(self, api: Api, thread: dict[str, Any], tool: Tool) -> None:
        (path,) = asked(api, thread)
        assert api.delete(f"/threads/{thread['id']}").status_code == 200
        problem(api.post(f"{path}/approve"), 404, "approval_not_found")
        assert not ToolApproval.objects.exists()

    def test_a_disabled_agent_calls_nothing(self, api: Api, tenant: Tenant, thread: dict[str, Any], tool: Tool) -> None:
        (path,) = asked(api, thread)
        api.patch(f"/agents/{tenant.agent.wire_id}", {"active": False}, **JSON)
        problem(api.post(f"{path}/approve"), 409, "agent_disabled")
        assert api.get(path).json()["status"] == "pending"

    @pytest.mark.parametrize(
        ("change", "code"),
        [
            ({"config": {"url": "http://127.0.0.1:9/elsewhere"}}, "tool_changed"),
            ({"parameters": {**SCHEMA, "title": "Other"}}, "tool_changed"),
            (None, "tool_not_enabled"),
        ],
    )
    def test_a_tool_that_changed_since_is_not_called(
        self,
        api: Api,
        thread: dict[str, Any],
        tool: Tool,
        orders: Orders,
        change: dict[str, Any] | None,
        code: str,
    ) -> None:
        (path,) = asked(api, thread)
        if change is None:
            api.delete(f"/tools/{tool.wire_id}")
        else:
            assert api.patch(f"/tools/{tool.wire_id}", change, **JSON).status_code == 200
        run = gone_on(api, thread, api.post(f"{path}/approve").json())
        assert [each["code"] for each in run["refused_tools"]] == [code]
        assert orders.received == []

    @pytest.mark.parametrize("where", ["approval", "message"])
    def test_other_arguments_are_not_called(
        self, api: Api, thread: dict[str, Any], tool: Tool, orders: Orders, where: str
    ) -> None:
        (path,) = asked(api, thread)
        if where == "approval":
            ToolApproval.objects.update(arguments='{"order_id":"1"}')
        else:
            message = Message.objects.get(role="assistant")
            message.tool_calls[0]["arguments"] = {"order_id": "1"}
            message.save()
        run = gone_on(api, thread, api.post(f"{path}/approve").json())
        assert [each["code"] for each in run["refused_tools"]] == ["approval_mismatch"]
        assert orders.received == []

    def test_of_many_deciders_one_wins(self, api: Api, thread: dict[str, Any], tool: Tool, orders: Orders) -> None:
        (path,) = asked(api, thread)
        with ThreadPoolExecutor(6) as pool:

            def decide(number: int) -> int:
                try:
                    return int(api.post(f"{path}/{'refuse' if number % 2 else 'approve'}").status_code)
                finally:
                    connection.close()

            assert sorted(pool.map(decide, range(6))) == [200, 409, 409, 409, 409, 409]
        decided = api.get(path).json()
        gone_on(api, thread, decided)
        assert len(orders.received) == (1 if decided["status"] == "approved" else 0)
        assert Run.objects.count() == 2

    def test_who_may_decide(
        self, api: Api, mallorys: Api, as_user: Any, tenant: Tenant, alice: User, victor: User, tool: Tool
    ) -> None:
        thread = as_user(alice).post(f"/agents/{tenant.agent.wire_id}/threads").json()
        (path,) = asked(as_user(alice), thread)
        assert as_user(alice).get(path).status_code == 200
        session = open_session(api, tenant)
        for asker in (as_user(alice), as_user(victor), Api(session["chat_token"])):
            problem(asker.post(f"{path}/approve"), 403, "permission_missing")
        same_404(as_user(victor).get(path), mallorys.get(path), mallorys.get("/approvals/approval_x"))
        same_404(mallorys.post(f"{path}/approve"), mallorys.post(f"{path}/refuse"))
        assert Api().post(f"{path}/approve").status_code == 401
        assert api.get(path).json()["status"] == "pending"
        admin = as_user(make_user("ada", tenant.workspace, Role.ADMIN))
        assert admin.post(f"{path}/approve").json()["decided_by"].startswith("user:")

    def test_they_are_listed_and_filtered(
        self, api: Api, mallorys: Api, tenant: Tenant, thread: dict[str, Any], tool: Tool
    ) -> None:
        other = new_thread(api, tenant)
        (first,), (second,) = asked(api, thread), asked(api, other)
        gone_on(api, thread, api.post(f"{first}/refuse").json())
        one, two = first.rpartition("/")[2], second.rpartition("/")[2]
        assert ids_of(api.get("/approvals")) == [two, one]
        assert ids_of(api.get("/approvals?status=pending")) == [two]
        assert ids_of(api.get(f"/approvals?threadId={thread['id']}")) == [one]
        assert ids_of(api.get(f"/approvals?agentId={tenant.agent.wire_id}&order=asc")) == [one, two]
        assert ids_of(api.get("/approvals?agentId=agent_x")) == []
        assert ids_of(mallorys.get("/approvals")) == []
        assert api.get("/approvals?status=maybe").status_code == 422
        page = api.get("/approvals?take=1").json()
        assert (page["count"], page["has_more"]) == (2, True)


@pytest.mark.django_db(transaction=True)
class TestCrash:
    """What a killed worker leaves behind, at each moment between the approval and the call's result."""

    def go_on(self, tenant: Tenant, tool: Tool) -> Run:
        """A run that went on after an approval, and that no worker has taken yet."""
        from tests.threads.conftest import answer
        from threads.actions import threads as thread_actions

        thread = thread_actions.create(actor=tenant.actor, agent_id=tenant.agent.pk, now=timezone.now())
        answer(tenant, thread, ASKING)
        approvals.approve(actor=tenant.actor, approval=ToolApproval.objects.get(), now=timezone.now())
        return Run.objects.get(continues__isnull=False)

    def execute(self, run: Run) -> Run:
        from threads.runs.execute import execute

        asyncio.run(execute(run_id=run.pk, workspace_id=run.workspace_id))
        run.refresh_from_db()
        return run

    def test_before_the_call_another_worker_makes_it(self, tenant: Tenant, tool: Tool, orders: Orders) -> None:
        from threads.runs import answer, end

        run = self.go_on(tenant, tool)
        assert answer.claim(run_id=run.pk, workspace_id=run.workspace_id, now=timezone.now())
        end.end_all_lost(now=timezone.now() + timedelta(minutes=5))
        run.refresh_from_db()
        assert run.status == "queued"
        assert self.execute(run).status == "succeeded"
        assert len(orders.received) == 1

    def test_after_the_call_nobody_makes_it_again(
        self, tenant: Tenant, tool: Tool, orders: Orders, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from threads.runs import answer, end
        from threads.runs.execute import Work

        def killed(**_: Any) -> None:
            raise SystemExit

        run = self.go_on(tenant, tool)
        with monkeypatch.context() as dying:
            dying.setattr(answer, "store_results", killed)
            dying.setattr(Work, "conclude", lambda *_: asyncio.sleep(0))
            dying.setattr(Work, "hand_back", lambda *_: asyncio.sleep(0))
            with pytest.raises(SystemExit):
                self.execute(run)
        assert len(orders.received) == 1
        end.end_all_lost(now=timezone.now() + timedelta(minutes=5))
        run.refresh_from_db()
        assert (run.status, run.error_code) == ("failed", "worker_lost")
        self.execute(run)
        assert len(orders.received) == 1
        assert (
            RunEvent.objects.filter(run_id=run.pk).order_by("-seq").values_list("type", flat=True)[0] == "message_stop"
        )

    def test_jobs_that_come_twice_call_once(self, tenant: Tenant, tool: Tool, orders: Orders) -> None:
        from threads.runs.execute import execute

        run = self.go_on(tenant, tool)

        async def three() -> None:
            await asyncio.gather(*(execute(run_id=run.pk, workspace_id=run.workspace_id) for _ in range(3)))

        asyncio.run(three())
        assert len(orders.received) == 1

    def test_cancelling_the_run_that_goes_on_voids_what_was_approved(
        self, tenant: Tenant, tool: Tool, orders: Orders
    ) -> None:
        from threads.runs import end

        run = self.go_on(tenant, tool)
        end.cancel(actor=tenant.actor, run=run, now=timezone.now())
        self.execute(run)
        assert ToolApproval.objects.get().status == "void"
        assert orders.received == []
