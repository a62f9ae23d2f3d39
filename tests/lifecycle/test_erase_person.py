"""A person is erased everywhere, or the erasure is not done."""

from pathlib import Path

import pytest

from chat_sessions.models import ChatSession
from tests.conftest import Api, Tenant, make_user
from tests.lifecycle.conftest import old_thread
from tests.lifecycle.persons import MARK, NOW, erase, places, put_everywhere, stored, written
from tests.lifecycle.persons import own_attachments as own_attachments  # fixture
from threadhub.audit import verifying
from threadhub.audit.models import AuditEvent
from threadhub.workspaces.actor import Actor, PermissionMissing
from threadhub.workspaces.models import ApiKey, EndUser, User
from threadhub.workspaces.permissions import ROLE_PERMISSIONS, Role
from threads.actions.messages import Draft, append
from threads.attachments import Upload
from threads.lifecycle import acts, reading, trash
from threads.lifecycle.bundles import audit_trail
from threads.lifecycle.erasure import erasures, proof
from threads.models import (
    Attachment,
    Bundle,
    Feedback,
    Message,
    Run,
    Summary,
    Thread,
    Tombstone,
)

pytestmark = pytest.mark.django_db(transaction=True)


def test_nothing_is_left_of_a_reference_anywhere(api: Api, tenant: Tenant, archive_directory: str) -> None:
    put_everywhere(api, tenant)
    before = places(archive_directory)
    assert {"threads_message.content", "threads_hold.external_ref", "audit_auditevent.details"} <= set(before)
    assert any(place.endswith(".zst") for place in before)
    done = erase(tenant, "external_ref", f"{MARK}-ref")
    assert (done.state, done.person) == ("done", None)
    assert places(archive_directory) == []
    assert list(Thread.objects.values_list("external_ref", flat=True)) == ["other"]
    (kept,) = Thread.objects.all()
    assert len(list(reading.messages(kept))) == 3
    assert ChatSession.objects.count() == 0
    assert Tombstone.objects.filter(reason="erasure").count() == 6  # five, two of the API, less the temporary
    assert audit_trail.verify(workspace_id=tenant.workspace.pk).faults == []
    (read,) = verifying.verify(workspace_id=tenant.workspace.pk)
    assert isinstance(read, verifying.Verified)
    assert read.masked >= 1
    note = AuditEvent.objects.get(action="test.note")
    assert note.details == {"ref": None, "kept": "words"}
    certificate = done.certificate
    assert certificate is not None
    assert certificate["erased"]["whole_threads"] == 7
    assert certificate["verified"]["mentioned_by_others"] == {}
    assert proof.is_genuine(done)
    done.certificate = {**certificate, "erased": {}}
    assert not proof.is_genuine(done)


def test_a_session_is_its_visitor(api: Api, tenant: Tenant, archive_directory: str) -> None:
    put_everywhere(api, tenant)
    session = ChatSession.objects.get()
    erase(tenant, "session", session.pk)
    assert places(archive_directory) == []


def test_an_end_user_and_their_account_go(api: Api, tenant: Tenant, archive_directory: str) -> None:
    reference = f"{MARK}-person"
    path = f"/agents/{tenant.agent.wire_id}/threads"
    made = api.post(path, {"title": f"{MARK} t"}, HTTP_X_END_USER=reference).json()
    written(tenant, Thread.objects.get(title=f"{MARK} t"))
    assert made["id"]
    user = EndUser.objects.get().user
    done = erase(tenant, "end_user", reference)
    assert places(archive_directory) == []
    assert not User.objects.filter(pk=user.pk).exists()
    assert done.certificate is not None
    assert done.certificate["account"] == "removed"


def test_a_member_leaves_nothing_and_keeps_what_is_elsewhere(
    tenant: Tenant, other_tenant: Tenant, archive_directory: str
) -> None:
    user = make_user(f"{MARK}una", tenant.workspace, Role.MEMBER)
    Thread.objects.create(workspace=tenant.workspace, agent=tenant.agent, user=user, title=f"{MARK} mine")
    assert erase(tenant, "user", user.pk).certificate["account"] == "removed"  # type: ignore[index]
    assert places(archive_directory) == []
    both = make_user(f"{MARK}bea", tenant.workspace, Role.MEMBER)
    from threadhub.workspaces import memberships

    memberships.join(workspace=other_tenant.workspace, user=both, role=Role.MEMBER)
    Thread.objects.create(workspace=other_tenant.workspace, agent=other_tenant.agent, user=both, title="there")
    assert erase(tenant, "user", both.pk).certificate["account"] == "kept"  # type: ignore[index]
    both.refresh_from_db()
    assert (both.username, Thread.objects.get(user=both).title) == (f"{MARK}bea", "there")


def test_a_servers_key_outlives_whoever_made_it(tenant: Tenant, archive_directory: str) -> None:
    maker = make_user(f"{MARK}max", tenant.workspace, Role.ADMIN)
    ApiKey.objects.filter(kind="workspace").update(user=maker)
    done = erase(tenant, "user", maker.pk)
    assert done.certificate is not None
    assert done.certificate["account"] == "emptied"
    assert places(archive_directory) == []
    assert Api(tenant.key).get("/threads").status_code == 200


def test_the_last_owner_stays(tenant: Tenant) -> None:
    from threadhub.workspaces.memberships import LastOwner

    with pytest.raises(LastOwner):
        erase(tenant, "user", tenant.owner.pk)
    assert User.objects.filter(pk=tenant.owner.pk).exists()


def test_who_decides_about_members_is_erased_by_their_like(tenant: Tenant) -> None:
    officer = Actor("user", tenant.workspace.pk, ROLE_PERMISSIONS[Role.COMPLIANCE], user_id=tenant.owner.pk)
    states = {}
    for role in (Role.OWNER, Role.ADMIN, Role.MEMBER):
        user = make_user(f"{MARK}{role}", tenant.workspace, role)
        planned = erasures.plan(actor=officer, kind="user", value=user.pk, now=NOW())
        code = erasures.code_of(tenant.workspace.pk, planned.plan_hash)
        try:
            states[role] = erasures.confirm(actor=officer, erasure=planned, code=code, now=NOW()).state
        except PermissionMissing:
            states[role] = "refused"
    assert states == {Role.OWNER: "refused", Role.ADMIN: "refused", Role.MEMBER: "running"}


@pytest.mark.parametrize("where", ["live", "archived", "trashed"])
def test_their_part_in_threads_of_others_goes_and_the_rest_stays(
    tenant: Tenant, archive_directory: str, where: str
) -> None:
    user = make_user(f"{MARK}una", tenant.workspace, Role.ADMIN)
    thread = old_thread(tenant, messages=2)
    asked = Run.objects.create(
        workspace_id=thread.workspace_id, thread=thread, agent=tenant.agent, number=1, status="succeeded",
        finished_at=NOW(), user_id=user.pk,
    )  # fmt: skip
    append(
        actor=tenant.actor,
        thread=thread,
        drafts=[
            Draft(role="user", content=f"{MARK} asks", uploads=[Upload("a.txt", "text/plain", MARK.encode())]),
            Draft(role="assistant", content=f"To {MARK}", run_id=asked.pk),
            Draft(role="user", content="mine"),
            Draft(role="assistant", content="yours"),
        ],
    )
    Summary.objects.create(workspace_id=thread.workspace_id, thread=thread, from_position=1, to_position=4, text=MARK)
    answer = Message.objects.get(content="yours")
    Feedback.objects.create(
        workspace_id=thread.workspace_id, thread=thread, message=answer, author=f"user:{user.pk}", rating=1, text=MARK
    )
    other = old_thread(tenant, messages=2)
    if where != "live":
        from django.db import transaction

        from threads.lifecycle.bundles import archive

        with transaction.atomic():
            archive.archive(workspace_id=tenant.workspace.pk, thread_ids=[thread.pk, other.pk], now=NOW())
    if where == "trashed":
        trash.put(workspace_id=tenant.workspace.pk, thread_ids=[thread.pk], now=NOW(), days=3)
    done = erase(tenant, "user", user.pk)
    assert places(archive_directory) == []
    thread.refresh_from_db()
    assert thread.state == {"live": "active"}.get(where, where)
    assert thread.message_count == 4
    if where == "trashed":
        thread.state = "archived"
    said = [message.content for message in reading.messages(thread)]
    assert said[2:] == ["mine", "yours"]
    assert len(said) == 4
    assert Attachment.objects.count() == 0
    assert stored() == []
    assert done.certificate is not None
    assert done.certificate["erased"]["messages_elsewhere"] == 2
    assert audit_trail.verify(workspace_id=tenant.workspace.pk).faults == []


def test_a_bundle_that_nothing_is_left_in_is_gone(tenant: Tenant, archive_directory: str) -> None:
    acts.archive(actor=tenant.actor, thread=old_thread(tenant, external_ref="r"), now=NOW())
    erase(tenant, "external_ref", "r")
    assert Bundle.objects.filter(removed_at__isnull=True).count() == 0
    assert list(Path(archive_directory).rglob("*.zst")) == []
