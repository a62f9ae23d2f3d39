"""Files and feedback point at a message of their workspace, and go with it, as with a foreign key (migration 0031)."""

import uuid
from typing import Any

import psycopg
import pytest
from django.db import DatabaseError, IntegrityError, connection, transaction
from django.utils import timezone

from tests.conftest import Tenant
from tests.threads.elsewhere import Elsewhere
from threadhub.isolation import scope
from threadhub.isolation.scope import Door
from threads.actions import feedback, threads
from threads.actions.messages import Draft, Upload, append
from threads.models import Attachment, Feedback, Message, Thread

NOW = timezone.now


def spoken(tenant: Tenant) -> list[Message]:
    """A question with a file, and its answer with feedback."""
    thread = threads.create(actor=tenant.actor, agent_id=tenant.agent.pk, now=NOW())
    upload = Upload("a.txt", "text/plain", b"a")
    said = append(
        actor=tenant.actor, thread=thread,
        drafts=[Draft(role="user", content="see", uploads=[upload]), Draft(role="assistant", content="seen")],
    )  # fmt: skip
    messages = list(Message.objects.filter(pk__in=[each.pk for each in said]).order_by("position"))
    feedback.give(actor=tenant.actor, thread=thread, message=messages[1], rating=1, now=NOW())
    return messages


def row(kind: type[Attachment] | type[Feedback], message: Message, **other: Any) -> Any:
    """One that is not stored yet."""
    own: dict[str, Any] = {"author": f"user:{uuid.uuid4()}", "rating": 1}
    if kind is Attachment:
        own = {"filename": "b.txt", "content_type": "text/plain", "size": 1, "sha256": bytes(32), "file": "b"}
    where = {"workspace_id": message.workspace_id, "thread_id": message.thread_id, "message_id": message.pk}
    return kind(**own, **{**where, **other})


KINDS = pytest.mark.parametrize("kind", [Attachment, Feedback])


@KINDS
class TestPointing:
    def test_at_a_message_that_is_not_there_is_refused(self, tenant: Tenant, kind: Any) -> None:
        message = spoken(tenant)[0]
        with pytest.raises(IntegrityError, match="is not there") as refused, transaction.atomic():
            row(kind, message, message_id=uuid.uuid4()).save()
        cause = refused.value.__cause__
        assert isinstance(cause, psycopg.errors.ForeignKeyViolation)
        assert cause.diag.constraint_name == f"{kind._meta.db_table}_message_id_workspace_fk"

    def test_at_a_message_of_another_workspace_is_refused(
        self, tenant: Tenant, other_tenant: Tenant, kind: Any
    ) -> None:
        mine, foreign = spoken(tenant)[0], spoken(other_tenant)[0]
        with pytest.raises(IntegrityError), transaction.atomic():
            row(kind, mine, message_id=foreign.pk).save()

    def test_elsewhere_later_is_refused(self, tenant: Tenant, kind: Any) -> None:
        messages = spoken(tenant)
        with pytest.raises(IntegrityError), transaction.atomic():
            kind.objects.update(message_id=uuid.uuid4())
        kind.objects.update(message_id=messages[0].pk)

    def test_keeps_the_key_of_the_message(self, tenant: Tenant, kind: Any) -> None:
        message = spoken(tenant)[0 if kind is Attachment else 1]
        with pytest.raises(IntegrityError, match="points at"), transaction.atomic():
            Message.objects.filter(pk=message.pk).update(id=uuid.uuid4())
        kind.objects.all().delete()
        Message.objects.filter(pk=message.pk).update(id=uuid.uuid4())

    def test_keeps_the_messages_from_being_emptied_alone(self, tenant: Tenant, kind: Any) -> None:
        spoken(tenant)
        other = "threads_feedback" if kind is Attachment else "threads_attachment"
        with connection.cursor() as cursor:
            cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
            with pytest.raises(IntegrityError, match="point at"), transaction.atomic():
                cursor.execute(f"TRUNCATE threads_message, {other}")
            cursor.execute("TRUNCATE threads_message, threads_attachment, threads_feedback")


class TestRemoving:
    @pytest.mark.parametrize("who", ["owner", "workspace", "upkeep"])
    def test_a_message_takes_what_points_at_it_along_whoever_removes_it(self, tenant: Tenant, who: str) -> None:
        asked, answered = spoken(tenant)
        spoken(tenant)
        seen = {
            "owner": scope.as_owner(), "workspace": scope.within(tenant.workspace.pk),
            "upkeep": scope.through(Door.UPKEEP),
        }[who]  # fmt: skip
        with seen:
            Message.objects.filter(pk=asked.pk)._raw_delete(using="default")
        assert (Attachment.objects.count(), Feedback.objects.count()) == (1, 2)
        with scope.within(tenant.workspace.pk):
            Message.objects.filter(pk=answered.pk)._raw_delete(using="default")
        assert (Attachment.objects.count(), Feedback.objects.count()) == (1, 1)
        assert not Attachment.objects.filter(message_id=asked.pk).exists()

    def test_a_thread_takes_all_along(self, tenant: Tenant) -> None:
        message = spoken(tenant)[0]
        kept = spoken(tenant)[0]
        Thread.objects.filter(pk=message.thread_id)._raw_delete(using="default")
        assert Attachment.objects.get().message_id == kept.pk
        assert Feedback.objects.get().thread_id == kept.thread_id

    def test_many_at_once_take_theirs_and_no_others(self, tenant: Tenant) -> None:
        gone, kept = [spoken(tenant)[0] for _ in range(5)], [spoken(tenant)[0] for _ in range(2)]
        Message.objects.filter(thread_id__in=[each.thread_id for each in gone])._raw_delete(using="default")
        threads_left = {each.thread_id for each in kept}
        assert set(Attachment.objects.values_list("thread_id", flat=True)) == threads_left
        assert set(Feedback.objects.values_list("thread_id", flat=True)) == threads_left


@KINDS
@pytest.mark.django_db(transaction=True)
class TestAtOnce:
    """Somebody points at a message while another removes it."""

    def test_what_points_first_goes_with_the_message(self, transactional_db: None, tenant: Tenant, kind: Any) -> None:
        message = spoken(tenant)[0]
        removing = Elsewhere(lambda: Message.objects.filter(pk=message.pk)._raw_delete(using="default"))
        with transaction.atomic():
            row(kind, message).save()
            removing.begin()
            removing.wait_until_it_waits()
        assert removing.end() is None
        assert not kind.objects.filter(message_id=message.pk).exists()
        assert not Message.objects.filter(pk=message.pk).exists()

    def test_what_comes_second_is_refused(self, transactional_db: None, tenant: Tenant, kind: Any) -> None:
        message = spoken(tenant)[0]
        pointing = Elsewhere(lambda: row(kind, message).save())
        with transaction.atomic():
            Message.objects.filter(pk=message.pk)._raw_delete(using="default")
            pointing.begin()
            pointing.wait_until_it_waits()
        assert isinstance(pointing.end(), IntegrityError)
        assert not kind.objects.filter(message_id=message.pk).exists()

    def test_what_comes_second_stays_where_the_message_does(
        self, transactional_db: None, tenant: Tenant, kind: Any
    ) -> None:
        message = spoken(tenant)[0]
        pointing = Elsewhere(lambda: row(kind, message).save())
        before = kind.objects.count()
        with transaction.atomic():
            Message.objects.filter(pk=message.pk)._raw_delete(using="default")
            pointing.begin()
            pointing.wait_until_it_waits()
            transaction.set_rollback(True)
        assert pointing.end() is None
        assert kind.objects.count() == before + 1

    def test_nothing_is_removed_by_who_looks_at_an_older_state(
        self, transactional_db: None, tenant: Tenant, kind: Any
    ) -> None:
        message = spoken(tenant)[0]
        pointing = Elsewhere(lambda: row(kind, message).save())
        with transaction.atomic():
            with connection.cursor() as cursor:
                cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            assert Message.objects.filter(pk=message.pk).exists()
            pointing.begin()
            assert pointing.end() is None
            with pytest.raises(DatabaseError, match="READ COMMITTED"), transaction.atomic():
                Message.objects.filter(pk=message.pk)._raw_delete(using="default")
        assert kind.objects.filter(message_id=message.pk).exists()
