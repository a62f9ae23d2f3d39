"""Every route of both dialects that leads into a thread: an archived one takes no writes, a trashed one is not there.

The routes are those of the URL confs, so a new one is here by itself.
"""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from tests.api.rest.conftest import open_session
from tests.conftest import Api, Tenant
from threadhub.api.ai.urls import ROUTES as AI
from threadhub.api.rest.urls import urlpatterns as REST
from threadhub.lib import ids
from threads.actions import feedback
from threads.actions.messages import Draft, append
from threads.lifecycle import acts, trash
from threads.lifecycle.bundles import audit_trail
from threads.models import Message, Run, Thread

NOW = timezone.now
READS = ("get", "head")
BODIES: dict[str, Any] = {
    "threads/<str:thread_id>": {"title": "another"},
    "messages": {"role": "user", "content": "more"},
    "edit": {"prompt": "another"},
    "feedback": {"rating": -1},
    "tool_outputs": {"tool_outputs": [{"tool_call_id": "call", "output": 1}]},
    "invoke": {"prompt": "more"},
    "chat-completion/<str:thread_id>": {"messages": [{"role": "user", "content": "more"}]},
}
# What may be done to an archived thread: it changes nothing that was said.
ALLOWED = {
    ("delete", "threads/<str:thread_id>"),
    ("delete", "chat_sessions/<str:chat_session_id>/threads/<str:thread_id>"),
    ("delete", "api/ai/threads/<str:thread_id>"),
    ("post", "threads/<str:thread_id>/unarchive"),
}


def routes() -> Iterator[tuple[str, str]]:
    """(method, path with placeholders) of everything that names a thread."""
    for prefix, patterns in (("", REST), ("api/", AI)):
        for pattern in patterns:
            for each in getattr(pattern, "url_patterns", None) or [pattern]:
                path = prefix + str(pattern.pattern) + (str(each.pattern) if each is not pattern else "")
                if "<str:thread_id>" in path:
                    view = getattr(each.callback, "__wrapped__", each.callback)
                    yield from ((method, path) for method in view.actions)


WRITES = sorted({(method, path) for method, path in routes() if method not in READS})
EVERY = sorted(set(routes()))


class Place:
    """A thread of a visitor with a question, an answer, a run and feedback; and where everything in it is."""

    def __init__(self, api: Api, tenant: Tenant) -> None:
        session = open_session(api, tenant)
        self.thread = Thread.objects.get(pk=ids.decode("thread", session["thread_id"]))
        self.run = Run.objects.create(
            workspace_id=tenant.workspace.pk, thread=self.thread, agent=tenant.agent, number=1, status="succeeded",
            finished_at=NOW(),
        )  # fmt: skip
        question, answer = append(
            actor=tenant.actor,
            thread=self.thread,
            drafts=[
                Draft(role="user", content="question"),
                Draft(role="assistant", content="answer", run_id=self.run.pk),
            ],
        )
        feedback.give(actor=tenant.actor, thread=self.thread, message=answer, rating=1, now=NOW())
        self.question, self.answer = question.wire_id, answer.wire_id
        self.names = {
            "chat_session_id": session["id"],
            "thread_id": self.thread.wire_id,
            "agent_id": tenant.agent.wire_id,
            "integration_id": tenant.agent.wire_id,
            "run_id": self.run.wire_id,
            "number": "1",
            "file_id": ids.encode("file", ids.new()),
        }

    def address(self, path: str) -> str:
        asked = self.question if path.endswith("/edit") else self.answer
        for name, value in {**self.names, "message_id": asked}.items():
            path = path.replace(f"<str:{name}>", value)
        assert "<" not in path
        return f"/{path}"


@pytest.fixture
def place(api: Api, tenant: Tenant) -> Place:
    return Place(api, tenant)


def ask(api: Api, place: Place, method: str, path: str) -> Any:
    if method in ("get", "head", "delete"):
        return getattr(api, method)(place.address(path))
    body = next((body for end, body in BODIES.items() if path.endswith(end)), {})
    return getattr(api, method)(place.address(path), body, content_type="application/json")


def test_the_walk_knows_what_there_is() -> None:
    tails = {path.rpartition("/")[2] for _, path in WRITES}
    assert {"messages", "copy", "edit", "regenerate", "activate", "tool_outputs", "feedback", "invoke"} <= tails
    assert any(path.startswith("chat_sessions/") for _, path in WRITES)
    assert any(path.startswith("api/ai/") for _, path in WRITES)


@pytest.mark.parametrize(("method", "path"), WRITES, ids=[f"{method} {path}" for method, path in WRITES])
def test_an_archived_thread_takes_no_writes(api: Api, tenant: Tenant, place: Place, method: str, path: str) -> None:
    acts.archive(actor=tenant.actor, thread=place.thread, now=NOW())
    before = Thread.objects.filter(pk=place.thread.pk).values().get()
    response = ask(api, place, method, path)
    if (method, path) in ALLOWED:
        assert response.status_code in (200, 204), response.content
        return
    said = "run_ended" if path.endswith("/cancel") else "archived"  # its runs are over, all of them
    assert (response.status_code, said in response.content.decode()) == (409, True), response.content
    assert Thread.objects.filter(pk=place.thread.pk).values().get() == before
    assert not Message.objects.filter(thread_id=place.thread.pk).exists()
    assert audit_trail.verify(workspace_id=tenant.workspace.pk).faults == []


@pytest.mark.parametrize("archived", [False, True])
@pytest.mark.parametrize(("method", "path"), EVERY, ids=[f"{method} {path}" for method, path in EVERY])
def test_a_trashed_thread_is_not_there(
    api: Api, tenant: Tenant, place: Place, method: str, path: str, archived: bool
) -> None:
    if archived:
        acts.archive(actor=tenant.actor, thread=place.thread, now=NOW())
    assert trash.put(workspace_id=tenant.workspace.pk, thread_ids=[place.thread.pk], now=NOW(), days=9) == 1
    before = Thread.objects.filter(pk=place.thread.pk).values().get()
    response = ask(api, place, method, path)
    assert response.status_code == 404, response.content
    assert Thread.objects.filter(pk=place.thread.pk).values().get() == before
    assert before["purge_after"] - before["trashed_at"] == timedelta(days=9)
