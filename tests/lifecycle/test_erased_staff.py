"""A member of staff is erased: what they answered and noted stays without them, and nothing waits for them."""

from typing import Any

import pytest
from django.db import transaction

from tests.conftest import Tenant, make_user
from tests.lifecycle.conftest import old_thread
from tests.lifecycle.persons import MARK, NOW, erase, places
from threadhub.workspaces import actor as actors
from threadhub.workspaces.actor import Actor
from threadhub.workspaces.models import Membership, User
from threadhub.workspaces.permissions import ROLE_PERMISSIONS, Role
from threads.actions import desk, takeover
from threads.actions.messages import Draft, append
from threads.lifecycle import holds, reading, restore, trash
from threads.lifecycle.bundles import archive
from threads.lifecycle.erasure import erasures, shared
from threads.models import Branch, Bundle, BundledThread, Message, Note, Run, Thread

pytestmark = pytest.mark.django_db


@pytest.fixture
def colleague(tenant: Tenant) -> User:
    return make_user(f"{MARK}sam", tenant.workspace, Role.SUPPORT)


def acting(tenant: Tenant, user: User) -> Actor:
    return Actor("user", tenant.workspace.pk, ROLE_PERMISSIONS[Role.SUPPORT], user_id=user.pk)


def answered(tenant: Tenant, user: User) -> Thread:
    """Somebody else's thread in which they answered and noted, which is theirs to look after."""
    thread = old_thread(tenant, messages=2)
    who = acting(tenant, user)
    takeover.take_over(actor=who, thread=thread, now=NOW())
    takeover.answer(actor=who, thread=thread, text="We are sorry.", now=NOW())
    desk.note(actor=who, thread=thread, text="An old customer.", now=NOW())
    takeover.hand_back(actor=who, thread=thread, now=NOW())
    thread.refresh_from_db()
    return thread


def put(tenant: Tenant, thread: Thread, where: str) -> None:
    with transaction.atomic():
        if where in ("archived", "archived and trashed"):
            other = old_thread(tenant, messages=2)
            archive.archive(workspace_id=tenant.workspace.pk, thread_ids=[thread.pk, other.pk], now=NOW())
        if where in ("trashed", "archived and trashed"):
            trash.put(workspace_id=tenant.workspace.pk, thread_ids=[thread.pk], now=NOW(), days=3)


@pytest.mark.parametrize("where", ["live", "archived", "trashed", "archived and trashed"])
def test_their_words_stay_and_nobody_can_tell_whose_they_were(
    tenant: Tenant, colleague: User, archive_directory: str, where: str
) -> None:
    thread = answered(tenant, colleague)
    put(tenant, thread, where)
    state = Thread.objects.get(pk=thread.pk).state
    done = erase(tenant, "user", colleague.pk)
    assert places(archive_directory) == []
    assert places(archive_directory, f"user:{colleague.pk}") == ["audit_auditevent.actor"]  # of an account that is gone
    thread = Thread.objects.get(pk=thread.pk)
    assert (thread.state, thread.message_count, thread.assignee_id) == (state, 3, None)
    if state == "trashed":
        thread.state = "archived" if thread.bundle_id else "active"
    *_, last = reading.messages(thread)
    assert (last.content, last.by_person) == ("We are sorry.", True)
    assert [note.text for note in Note.objects.filter(thread=thread)] == ["An old customer."]
    assert done.certificate is not None
    erased = done.certificate["erased"]
    assert {name: erased[f"{name}"] for name in ("answers_elsewhere", "notes_elsewhere", "assignments")} == {
        "answers_elsewhere": 1, "notes_elsewhere": 1, "assignments": 1,
    }  # fmt: skip
    assert not User.objects.filter(pk=colleague.pk).exists()


def test_an_archived_thread_with_a_note_alone_keeps_its_bundle(
    tenant: Tenant, colleague: User, archive_directory: str
) -> None:
    thread = old_thread(tenant, messages=2)
    desk.note(actor=acting(tenant, colleague), thread=thread, text="Mine.", now=NOW())
    put(tenant, thread, "archived")
    before = BundledThread.objects.get(thread_id=thread.pk)
    erase(tenant, "user", colleague.pk)
    assert Note.objects.get().author == "user:erased"
    assert BundledThread.objects.get(thread_id=thread.pk).bundle_id == before.bundle_id
    assert Bundle.objects.filter(removed_at__isnull=False).count() == 0


def test_a_branch_that_they_began_in_an_archived_thread_is_nobodys(
    tenant: Tenant, colleague: User, archive_directory: str
) -> None:
    thread = old_thread(tenant, messages=2)
    Branch.objects.create(
        workspace_id=thread.workspace_id, thread=thread, number=2, path="{[1,1]}", created_by=f"user:{colleague.pk}"
    )
    put(tenant, thread, "archived")
    erase(tenant, "user", colleague.pk)
    assert Branch.objects.get(number=2).created_by == ""
    assert places(archive_directory, f"user:{colleague.pk}") == []


def test_what_others_say_and_have_to_do_is_theirs(tenant: Tenant, colleague: User, archive_directory: str) -> None:
    other = make_user("other", tenant.workspace, Role.SUPPORT)
    thread = answered(tenant, colleague)
    kept = answered(tenant, other)
    takeover.take_over(actor=acting(tenant, other), thread=kept, now=NOW())
    erase(tenant, "user", colleague.pk)
    kept.refresh_from_db()
    assert (kept.taken_over_by_id, kept.assignee_id) == (other.pk, other.pk)
    authors = Message.objects.exclude(author="").order_by("id").values_list("thread_id", "author")
    assert dict(authors) == {thread.pk: "user:erased", kept.pk: f"user:{other.pk}"}
    assert Note.objects.get(thread=kept).author == f"user:{other.pk}"


def test_where_they_had_taken_over_the_agent_goes_on(tenant: Tenant, colleague: User, archive_directory: str) -> None:
    thread = old_thread(tenant, messages=2)
    takeover.take_over(actor=acting(tenant, colleague), thread=thread, now=NOW())
    append(actor=tenant.actor, thread=thread, drafts=[Draft(role="user", content="Anybody?")])
    run = Run.objects.create(
        workspace_id=thread.workspace_id, thread=thread, agent=tenant.agent, number=1, status="queued",
        lease_expires_at=NOW() + takeover.PATIENCE,
    )  # fmt: skip
    erase(tenant, "user", colleague.pk)
    thread.refresh_from_db()
    assert (thread.taken_over, thread.taken_over_by_id, thread.assignee_id) == (False, None, None)
    run.refresh_from_db()
    assert run.lease_expires_at is not None
    assert run.lease_expires_at < NOW() + takeover.PATIENCE / 2  # a worker has been asked


def test_an_answer_in_a_held_thread_blocks_it(tenant: Tenant, colleague: User, archive_directory: str) -> None:
    thread = answered(tenant, colleague)
    holds.place(actor=tenant.actor, scope="thread", target_id=thread.pk, reason="court", now=NOW())
    with pytest.raises(erasures.BlockedByHold):
        erase(tenant, "user", colleague.pk)
    assert Message.objects.filter(author=f"user:{colleague.pk}").count() == 1


def test_a_restored_thread_has_it_without_them_too(tenant: Tenant, colleague: User, archive_directory: str) -> None:
    thread = answered(tenant, colleague)
    put(tenant, thread, "archived")
    erase(tenant, "user", colleague.pk)
    restore.restore(actor=actors.system(tenant.workspace.pk), thread=Thread.objects.get(pk=thread.pk), now=NOW())
    assert list(Message.objects.exclude(author="").values_list("author", flat=True)) == ["user:erased"]


def test_whoever_has_left_is_erased_too(tenant: Tenant, colleague: User, archive_directory: str) -> None:
    thread = answered(tenant, colleague)
    Membership.objects.filter(user=colleague).delete()
    erase(tenant, "user", colleague.pk)
    assert places(archive_directory) == []
    assert Message.objects.get(thread=thread, content="We are sorry.").author == "user:erased"


def test_what_is_archived_while_they_are_erased_is_cleaned_there(
    tenant: Tenant, colleague: User, archive_directory: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    thread = answered(tenant, colleague)
    Branch.objects.create(
        workspace_id=thread.workspace_id, thread=thread, number=2, path="{[1,1]}", created_by=f"user:{colleague.pk}"
    )
    clean = shared.clean

    def late(**given: Any) -> Any:
        if not BundledThread.objects.filter(thread_id=thread.pk).exists():
            put(tenant, thread, "archived")
        return clean(**given)

    monkeypatch.setattr(shared, "clean", late)
    assert erase(tenant, "user", colleague.pk).state == "done"
    assert places(archive_directory, f"user:{colleague.pk}") == ["audit_auditevent.actor"]
    restore.restore(actor=actors.system(tenant.workspace.pk), thread=Thread.objects.get(pk=thread.pk), now=NOW())


def test_many_that_wait_for_them_are_left_a_few_at_a_time(
    tenant: Tenant, colleague: User, archive_directory: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(erasures, "BATCH", 2)
    for _ in range(5):
        desk.assign(actor=acting(tenant, colleague), thread=old_thread(tenant), user_id=colleague.pk)
    done = erase(tenant, "user", colleague.pk)
    assert done.certificate is not None
    assert done.certificate["erased"]["assignments"] == 5
    assert not Thread.objects.filter(assignee_id=colleague.pk).exists()


def test_the_list_says_it_before_anything_is_done(tenant: Tenant, colleague: User, archive_directory: str) -> None:
    answered(tenant, colleague)
    plan: dict[str, Any] = erasures.plan(
        actor=actors.system(tenant.workspace.pk), kind="user", value=colleague.pk, now=NOW()
    ).plan
    counted = {name: plan["counts"][name] for name in ("answers_elsewhere", "notes_elsewhere", "assignments")}
    assert set(counted.values()) == {1}
