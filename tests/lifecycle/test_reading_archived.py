"""An archived thread reads like a live one, and is not written."""

import pytest
from django.utils import timezone

from tests.conftest import Api, Tenant
from tests.lifecycle.bundled import full_thread
from tests.lifecycle.conftest import old_thread
from threads.lifecycle import acts, reading
from threads.lifecycle.bundles import writer
from threads.models import Attachment, BundledThread, Message, Run, Thread

NOW = timezone.now


QUERIES = [
    f"take={take}&order={order}{ends}"
    for take in (1, 7, 100)
    for order in ("asc", "desc")
    for ends in (
        "",
        "&after=0",
        "&after=30",
        "&before=30",
        "&after=20&before=41",
        "&after=59",
        "&before=2",
        "&after=60",
    )
]


def test_rest_reads_it_as_it_was(api: Api, tenant: Tenant) -> None:
    thread = full_thread(tenant)
    path = f"/threads/{thread.wire_id}"
    last = Message.objects.of_thread(thread).filter(role="assistant").last()
    file = Attachment.objects.get()
    assert last is not None
    paths = [
        f"{path}/messages", f"{path}/messages?order=desc&take=2", f"{path}/messages?after=1&before=4",
        f"{path}/messages?role=user", f"{path}/messages?before=3&take=1", f"{path}/messages/{last.wire_id}",
        f"{path}/messages/{last.wire_id}/feedback", f"{path}/runs", f"{path}/runs/{Run.objects.get().wire_id}",
    ]  # fmt: skip
    live = [api.get(each).json() for each in paths]
    whole = api.get(path).json()
    response = api.post(f"{path}/archive")
    assert (response.status_code, response.json()["state"]) == (200, "archived")
    assert [api.get(each).json() for each in paths] == live
    read = api.get(path).json()
    assert read["messages"] == whole["messages"]
    assert read["messages_count"] == 5
    assert b"".join(api.get(f"{path}/attachments/{file.wire_id}")) == b"file"
    listed = api.get("/threads?state=archived").json()["data"]
    assert [row["messages"] for row in listed] == [whole["messages"]]
    assert api.get(f"{path}/messages/msg_{'0' * 26}").status_code == 404


def test_ai_reads_it_as_it_was(api: Api, tenant: Tenant) -> None:
    thread = full_thread(tenant)
    live = api.get(f"/api/ai/threads/{thread.wire_id}").json()
    acts.archive(actor=tenant.actor, thread=thread, now=NOW())
    read = api.get(f"/api/ai/threads/{thread.wire_id}").json()
    assert {**read, "updated": None} == {**live, "updated": None}


def test_it_is_read_only(api: Api, tenant: Tenant) -> None:
    thread = full_thread(tenant)
    path = f"/threads/{thread.wire_id}"
    api.post(f"{path}/archive")
    last = reading.messages(Thread.objects.get())
    answered = next(message for message in last if message.role == "assistant")
    for response in (
        api.post(f"{path}/invoke", {"prompt": "hello"}),
        api.post(f"{path}/messages", {"role": "user", "content": "x"}),
        api.patch(path, {"title": "x"}, content_type="application/json"),
        api.delete(f"{path}/messages/{answered.wire_id}"),
        api.put(f"{path}/messages/{answered.wire_id}/feedback", {"rating": -1}, content_type="application/json"),
        api.post(f"{path}/archive"),
    ):
        assert (response.status_code, response.json()["code"]) == (409, "thread_archived"), response.content
    assert api.post(f"{path}/unarchive").json()["state"] == "active"
    assert api.post(f"{path}/unarchive").json()["code"] == "not_archived"
    assert api.post(f"{path}/messages", {"role": "user", "content": "x"}).status_code == 201


def test_pages_of_a_long_thread_come_from_their_frames(
    api: Api, tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "FRAME_BYTES", 2_000)
    thread = old_thread(tenant, messages=60)
    path = f"/threads/{thread.wire_id}/messages"
    live = [api.get(f"{path}?{query}").json() for query in QUERIES]
    acts.archive(actor=tenant.actor, thread=thread, now=NOW())
    assert len(BundledThread.objects.get().frames) > 5
    assert [api.get(f"{path}?{query}").json() for query in QUERIES] == live
