"""Exports of other services become threads."""

import io
import json
import zipfile
from typing import Any

import pytest

from tests.conftest import Tenant
from tests.lifecycle.transfers import NOW, bring_in
from threads import branches
from threads.actions.messages import Draft, append
from threads.lifecycle.importing.refusal import ImportRefused
from threads.models import Branch, Message, Thread


def node(name: str, parent: str | None, role: str = "user", text: str | None = None, at: float = 1.5) -> Any:
    message = {
        "author": {"role": role, "name": None},
        "create_time": 1700000000 + at,
        "content": {"content_type": "text", "parts": [name if text is None else text]},
        "recipient": "all",
    }
    return {"id": name, "parent": parent, "children": [], "message": None if role == "root" else message}


def conversation(nodes: list[Any], current: str, **more: Any) -> bytes:
    mapping = {each["id"]: each for each in nodes}
    made = {"id": "c1", "title": "Café", "create_time": 1700000000.25, "mapping": mapping, "current_node": current}
    return json.dumps([{**made, **more}]).encode()


TREE = [
    node("root", None, "root"),
    node("sys", "root", "system", ""),
    node("q1", "sys"),
    node("a1", "q1", "assistant"),
    node("a1b", "q1", "assistant"),
    node("q2", "a1"),
    node("a2", "q2", "assistant"),
    node("q2b", "a1b"),
]


class TestChatGpt:
    def said(self, thread: Thread) -> list[str | None]:
        return list(Message.objects.of_thread(thread).values_list("content", flat=True))

    def test_a_tree_becomes_branches(self, tenant: Tenant) -> None:
        data = conversation(TREE, "a2")
        bring_in(tenant, data, agent_id=tenant.agent.pk)
        thread = Thread.objects.get()
        assert (thread.title, thread.metadata["conversation_id"], thread.message_count) == ("Café", "c1", 4)
        assert self.said(thread) == ["q1", "a1", "q2", "a2"]
        assert Message.objects.get(content="q1").created_at.timestamp() == 1700000001.5
        other, active = branches.of_thread(thread)
        assert (other.parent, active.number, thread.branch, active.from_position) == (None, 2, 2, 1)
        branches.activate(thread=thread, branch=other, now=NOW())
        assert self.said(thread) == ["q1", "a1b", "q2b"]
        append(actor=tenant.actor, thread=thread, drafts=[Draft(role="user", content="more")])
        assert self.said(thread) == ["q1", "a1b", "q2b", "more"]
        assert dict(bring_in(tenant, data, agent_id=tenant.agent.pk).skipped) == {"present": 1}

    def test_a_plain_conversation_has_no_branches(self, tenant: Tenant) -> None:
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w") as archive:
            archive.writestr("conversations.json", conversation(TREE[:4], "a1"))
            archive.writestr("chat.html", "<p>")
        bring_in(tenant, out.getvalue(), agent_id=tenant.agent.pk)
        thread = Thread.objects.get()
        assert (thread.path, self.said(thread), Branch.objects.count()) == (None, ["q1", "a1"], 0)

    @pytest.mark.parametrize(
        "data",
        [
            conversation([node("a", "b"), node("b", "a")], "a"),
            conversation([node("a", "gone")], "a"),
            conversation([node("a", None)], "gone"),
            conversation([node("a", None, "wizard")], "a"),
            conversation([node("a", None, text="\x00")], "a"),
            conversation([node("a", None, at=float("inf"))], "a"),
            conversation([node("a", None, at=1e12)], "a"),
            conversation([node("a", None)], "a", create_time=None),
            conversation([node("a", None)], "a", title=7),
        ],
    )
    def test_what_is_no_tree_is_refused(self, tenant: Tenant, data: bytes) -> None:
        with pytest.raises(ImportRefused):
            bring_in(tenant, data, agent_id=tenant.agent.pk)
        assert Thread.objects.count() == 0

    def test_it_wants_an_agent(self, tenant: Tenant) -> None:
        with pytest.raises(ImportRefused, match="agent"):
            bring_in(tenant, conversation(TREE, "a2"))


class TestAssistants:
    def listed(self, *texts: str, **more: Any) -> bytes:
        messages = [
            {
                "id": f"msg_{at}",
                "object": "thread.message",
                "created_at": 1700000000 + at,
                "role": ("user", "assistant")[at % 2],
                "content": [{"type": "text", "text": {"value": text, "annotations": []}}],
                "metadata": {},
                "run_id": None,
            }
            for at, text in enumerate(texts)
        ]
        listed = {"object": "list", "data": messages[::-1], "has_more": False, **more}
        return json.dumps(
            {"thread": {"id": "thread_abc", "created_at": 1700000000, "metadata": {"plan": "x"}}, "messages": listed}
        ).encode()

    def test_the_newest_first_becomes_the_last(self, tenant: Tenant) -> None:
        bring_in(tenant, self.listed("hi", "hello", "bye"), agent_id=tenant.agent.pk)
        thread = Thread.objects.get()
        assert list(Message.objects.of_thread(thread).values_list("content", flat=True)) == ["hi", "hello", "bye"]
        assert thread.metadata == {"imported_from": "assistants", "thread_id": "thread_abc", "plan": "x"}
        assert dict(bring_in(tenant, self.listed("hi", "hello", "bye"), agent_id=tenant.agent.pk).skipped) == {
            "present": 1
        }

    def test_half_a_list_is_refused(self, tenant: Tenant) -> None:
        with pytest.raises(ImportRefused, match="not whole"):
            bring_in(tenant, self.listed("hi", has_more=True), agent_id=tenant.agent.pk)
