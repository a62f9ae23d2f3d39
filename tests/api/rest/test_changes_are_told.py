"""Whoever has read a thread or its messages is told that nothing changed only while nothing did.

The tag is of the thread's row (threads/whole_rows.py); what is shown must not change without it.
"""

from collections.abc import Callable
from typing import Any

import pytest
from django.utils import timezone

from tests.conftest import Api, Tenant
from threadhub.workspaces.models import User
from threads import branches
from threads.actions import messages as appending
from threads.actions import takeover
from threads.actions import threads as actions
from threads.actions.messages import Draft
from threads.attachments import Upload
from threads.lifecycle import acts, holds, policies, restore
from threads.models import Message, RetentionPolicy, Thread

Change = Callable[[Tenant, Api, Thread], object]


def _append(tenant: Tenant, api: Api, thread: Thread) -> object:
    return appending.append(actor=tenant.actor, thread=thread, drafts=[Draft(role="user", content="more")])


def _append_file(tenant: Tenant, api: Api, thread: Thread) -> object:
    uploads = [Upload("a.pdf", "application/pdf", b"%PDF")]
    draft = Draft(role="user", content="x", kind="document", uploads=uploads)
    return appending.append(actor=tenant.actor, thread=thread, drafts=[draft])


def _delete_first(tenant: Tenant, api: Api, thread: Thread) -> object:
    first = Message.objects.filter(thread=thread).earliest("position")
    return appending.delete(actor=tenant.actor, thread=thread, message=first, now=timezone.now())


def _fork(tenant: Tenant, api: Api, thread: Thread) -> object:
    return branches.fork(thread=thread, before=2, actor=tenant.actor, now=timezone.now())


def _archive(tenant: Tenant, api: Api, thread: Thread) -> object:
    return acts.archive(actor=tenant.actor, thread=thread, now=timezone.now())


def _restore(tenant: Tenant, api: Api, thread: Thread) -> object:
    acts.archive(actor=tenant.actor, thread=thread, now=timezone.now())
    thread.refresh_from_db()
    return restore.restore(actor=tenant.actor, thread=thread, now=timezone.now())


def _ask(tenant: Tenant, api: Api, thread: Thread) -> object:
    path = f"/agents/{tenant.agent.wire_id}/threads/{thread.wire_id}/invoke"
    answer = api.post(path, {"prompt": "Well?"})
    assert answer.status_code == 200
    return answer


def _take_over(tenant: Tenant, api: Api, thread: Thread) -> object:
    return takeover.take_over(actor=tenant.actor, thread=thread, now=timezone.now())


def _hold(tenant: Tenant, api: Api, thread: Thread) -> object:
    return holds.place(actor=tenant.actor, scope="thread", target_id=thread.pk, reason="x", now=timezone.now())


def _policy(tenant: Tenant, api: Api, thread: Thread) -> object:
    made = policies.create(
        actor=tenant.actor,
        now=timezone.now(),
        name="old ones",
        scope="workspace",
        action="purge",
        counted_from="last_activity",
        days=30,
    )
    return RetentionPolicy.objects.filter(pk=made.pk).update(enabled=True, acts_from=timezone.now())


def _rename(tenant: Tenant, api: Api, thread: Thread) -> object:
    return api.patch(f"/threads/{thread.wire_id}", {"title": "Named"})


CHANGES: list[Change] = [
    *(_append, _append_file, _delete_first, _fork, _archive, _restore, _ask, _take_over, _hold, _policy, _rename)
]


@pytest.fixture
def thread(tenant: Tenant) -> Thread:
    made = actions.create(actor=tenant.actor, agent_id=tenant.agent.pk, title="Known", now=timezone.now())
    drafts = [Draft(role="user", content=str(number)) for number in range(4)]
    appending.append(actor=tenant.actor, thread=made, drafts=drafts)
    made.refresh_from_db()
    return made


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_what_is_shown_never_changes_under_a_tag(
    tenant: Tenant, api: Api, thread: Thread, alice: User, change: Change, worker: None
) -> None:
    root = f"/threads/{thread.wire_id}"
    last = Message.objects.filter(thread=thread).latest("position")
    paths = [root, f"{root}/messages", f"{root}/messages?after=1&take=2", f"{root}/messages/{last.wire_id}"]
    before = {path: api.get(path) for path in paths}
    for path, answer in before.items():
        assert api.get(path, headers={"If-None-Match": answer["ETag"]}).status_code == 304, path
    change(tenant, api, thread)
    for path, answer in before.items():
        now = api.get(path)
        again = api.get(path, headers={"If-None-Match": answer["ETag"]})
        if now.content != answer.content:
            assert (again.status_code, again.content) == (200, now.content), path
        else:
            assert again.status_code in (200, 304)
    assert any(api.get(path).content != answer.content for path, answer in before.items())


def test_pages_of_messages_and_one_of_them_are_told_by_one_statement_to_be_the_same(
    tenant: Tenant, api: Api, thread: Thread, django_assert_num_queries: Any
) -> None:
    root = f"/threads/{thread.wire_id}/messages"
    one = Message.objects.filter(thread=thread).earliest("position")
    for path in (root, f"{root}?take=2", f"{root}?order=desc&take=2", f"{root}/{one.wire_id}"):
        with django_assert_num_queries(2):  # the key, the thread with what is shown
            tag = api.get(path)["ETag"]
        with django_assert_num_queries(2):  # the key, the thread's row
            assert api.get(path, headers={"If-None-Match": tag}).status_code == 304
    assert api.get(f"{root}?take=x", headers={"If-None-Match": "*"}).status_code == 422
    assert api.get(f"{root}/nonsense", headers={"If-None-Match": "*"}).status_code == 404
