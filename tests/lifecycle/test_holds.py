"""A held thread survives everything, SQL included."""

from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from tests.conftest import Tenant
from threadhub.isolation import scope
from threads.actions import threads
from threads.actions.messages import Draft, append
from threads.attachments import Upload
from threads.lifecycle import holds
from threads.models import Attachment, Message, Thread


def held(tenant: Tenant, scope: str, thread: Thread) -> Any:
    target = {"workspace": None, "external_ref": None, "agent": thread.agent_id, "user": thread.user_id}
    return holds.place(
        actor=tenant.actor,
        scope=scope,
        reason="case 4711",
        now=timezone.now(),
        target_id=target.get(scope, thread.id),
        external_ref=thread.external_ref if scope == "external_ref" else None,
    )


@pytest.fixture
def thread(tenant: Tenant) -> Thread:
    thread = threads.create(actor=tenant.actor, agent_id=tenant.agent.pk, now=timezone.now(), external_ref="customer 1")
    append(actor=tenant.actor, thread=thread, drafts=[Draft(role="user", content="evidence")])
    return thread


SCOPES = ["workspace", "agent", "user", "external_ref", "thread"]


def refused(*statements: str) -> None:
    for statement in statements:
        with (
            pytest.raises(IntegrityError, match="legal hold"),
            scope.as_owner(),
            transaction.atomic(),
            connection.cursor() as cursor,
        ):
            cursor.execute(statement)
    assert (Thread.objects.count(), Message.objects.count()) == (1, 1)


@pytest.mark.parametrize("scope", SCOPES)
def test_sql_cannot_change_what_was_said(tenant: Tenant, thread: Thread, scope: str) -> None:
    hold = held(tenant, scope, thread)
    refused(
        "UPDATE threads_message SET content = 'another'",
        "UPDATE threads_message SET extra = '{\"a\": 1}'",
        "UPDATE threads_message SET position = position + 1",
        "UPDATE threads_message SET created_at = now() + interval '1 day'",
        f"UPDATE threads_message SET thread_id = '{tenant.agent.pk}'",
    )
    append(actor=tenant.actor, thread=thread, drafts=[Draft(role="user", content="more")])  # it goes on
    holds.release(actor=tenant.actor, hold=hold, now=timezone.now())
    Message.objects.update(content="another")


def test_its_files_stay_too(tenant: Tenant, thread: Thread) -> None:
    upload = Upload("a.txt", "text/plain", b"exhibit")
    thread = threads.create(actor=tenant.actor, agent_id=tenant.agent.pk, now=timezone.now())
    append(actor=tenant.actor, thread=thread, drafts=[Draft(role="user", content="see", uploads=[upload])])
    held(tenant, "thread", thread)
    for statement in (
        "DELETE FROM threads_attachment",
        "UPDATE threads_attachment SET file = 'elsewhere'",
        "SET CONSTRAINTS ALL IMMEDIATE; TRUNCATE threads_attachment CASCADE",
    ):
        with pytest.raises(IntegrityError, match="legal hold"), scope.as_owner(), transaction.atomic():
            connection.cursor().execute(statement)
    with Attachment.objects.get().file.open() as file:
        assert file.read() == b"exhibit"


@pytest.mark.parametrize("scope", SCOPES)
def test_sql_cannot_remove_what_a_hold_covers(tenant: Tenant, thread: Thread, scope: str) -> None:
    hold = held(tenant, scope, thread)
    refused(
        "DELETE FROM threads_thread",
        "DELETE FROM threads_message",
        "SET CONSTRAINTS ALL IMMEDIATE; TRUNCATE threads_message CASCADE",
        "SET CONSTRAINTS ALL IMMEDIATE; TRUNCATE threads_thread CASCADE",
        "DELETE FROM threads_hold",
    )
    holds.release(actor=tenant.actor, hold=hold, now=timezone.now())
    Thread.objects.all()._raw_delete(using="default")
    assert Message.objects.count() == 0


def test_it_survives_the_deletion_of_its_workspace(tenant: Tenant, thread: Thread) -> None:
    held(tenant, "thread", thread)
    with pytest.raises(IntegrityError), transaction.atomic():
        tenant.workspace.delete()
    assert Thread.objects.filter(pk=thread.pk).exists()


@pytest.mark.parametrize(("scope", "column"), [("user", "user_id"), ("external_ref", "external_ref")])
def test_it_does_not_slip_out_by_losing_what_holds_it(tenant: Tenant, thread: Thread, scope: str, column: str) -> None:
    held(tenant, scope, thread)
    refused(f"UPDATE threads_thread SET {column} = NULL")


def test_it_survives_the_deletion_of_its_user(tenant: Tenant, thread: Thread) -> None:
    held(tenant, "user", thread)
    with pytest.raises(IntegrityError, match="legal hold"), transaction.atomic():
        tenant.owner.delete()
    assert Thread.objects.get().user_id == tenant.owner.pk


def test_other_threads_are_not_held(tenant: Tenant, other_tenant: Tenant, thread: Thread) -> None:
    held(tenant, "thread", thread)
    other = threads.create(actor=other_tenant.actor, agent_id=other_tenant.agent.pk, now=timezone.now())
    same = threads.create(actor=tenant.actor, agent_id=tenant.agent.pk, now=timezone.now())
    Thread.objects.filter(pk__in=[other.pk, same.pk])._raw_delete(using="default")
    assert Thread.objects.count() == 1


@pytest.mark.parametrize("scope", ["agent", "thread", "user"])
def test_a_hold_is_on_something_of_the_workspace(
    tenant: Tenant, other_tenant: Tenant, thread: Thread, scope: str
) -> None:
    foreign = threads.create(actor=other_tenant.actor, agent_id=other_tenant.agent.pk, now=timezone.now())
    with pytest.raises(holds.HoldInvalid):
        held(tenant, scope, foreign)
