"""Messages point at a thread of their workspace, and go with it, as with a foreign key (migration 0037)."""

import json
import uuid
from typing import Any

import psycopg
import pytest
from django.db import DatabaseError, IntegrityError, connection, transaction
from django.utils import timezone

from tests.conftest import Tenant
from tests.threads.test_references_to_messages import Elsewhere
from threadhub.isolation import scope
from threadhub.isolation.scope import Door
from threads.actions import threads
from threads.actions.messages import Draft, append
from threads.lifecycle.bundles import records
from threads.lifecycle.staging import RestoreConflict, Staged
from threads.models import Message, Thread

NOW = timezone.now


def spoken(tenant: Tenant, messages: int = 2) -> Thread:
    thread = threads.create(actor=tenant.actor, agent_id=tenant.agent.pk, now=NOW())
    append(actor=tenant.actor, thread=thread, drafts=[Draft(role="user", content="said") for _ in range(messages)])
    return thread


def message(thread: Thread, position: int = 3, **other: Any) -> Message:
    """One that is not stored yet."""
    own = {"workspace_id": thread.workspace_id, "thread_id": thread.pk, "position": position, "role": "user"}
    return Message(**{**own, **other})


def record(thread: Thread, position: int, **other: Any) -> dict[str, Any]:
    """A message as a bundle has it."""
    layout = records.columns(Message)
    row = message(thread, position, **other)
    row.created_at = row.updated_at = NOW()
    values = [getattr(row, column.attribute) for column in layout]
    told: dict[str, Any] = json.loads(records.line("message", values, layout))
    return told


def bring(*lines: dict[str, Any], searchable: bool) -> int:
    """Put them in as a restore does."""
    staged = Staged("message").open()
    staged.copy([staged.older(line) for line in lines])
    return staged.move(searchable=searchable)


class TestPointing:
    def test_at_a_thread_that_is_not_there_is_refused(self, tenant: Tenant) -> None:
        thread = spoken(tenant)
        with pytest.raises(IntegrityError, match="is not there") as refused, transaction.atomic():
            message(thread, thread_id=uuid.uuid4()).save()
        cause = refused.value.__cause__
        assert isinstance(cause, psycopg.errors.ForeignKeyViolation)
        assert cause.diag.constraint_name == "threads_message_thread_id_workspace_fk"

    def test_one_of_many_is_enough_to_refuse_them_all(self, tenant: Tenant) -> None:
        thread = spoken(tenant)
        with pytest.raises(IntegrityError), transaction.atomic():
            Message.objects.bulk_create([message(thread), message(thread, 4, thread_id=uuid.uuid4())])
        Message.objects.bulk_create([message(thread), message(thread, 4), message(spoken(tenant))])

    @pytest.mark.parametrize("searchable", [True, False], ids=["few", "many"])
    def test_from_a_bundle_is_refused_as_well(self, tenant: Tenant, other_tenant: Tenant, searchable: bool) -> None:
        thread = spoken(tenant)
        with pytest.raises((IntegrityError, RestoreConflict)), transaction.atomic():
            bring(record(thread, 3), record(thread, 4, thread_id=uuid.uuid4()), searchable=searchable)
        foreign = record(thread, 4, workspace_id=other_tenant.workspace.pk)
        with pytest.raises((IntegrityError, RestoreConflict)), transaction.atomic():
            bring(record(thread, 3), foreign, searchable=searchable)
        assert Message.objects.count() == 2
        assert bring(record(thread, 3), record(spoken(tenant), 4), searchable=searchable) == 2

    def test_at_a_thread_of_another_workspace_is_refused(self, tenant: Tenant, other_tenant: Tenant) -> None:
        mine, foreign = spoken(tenant), spoken(other_tenant)
        for wrong in (message(mine, thread_id=foreign.pk), message(foreign, workspace_id=mine.workspace_id)):
            with pytest.raises(IntegrityError), transaction.atomic():
                wrong.save()

    def test_elsewhere_later_is_refused(self, tenant: Tenant) -> None:
        thread, other = spoken(tenant), spoken(tenant, 0)
        of_it = Message.objects.filter(thread_id=thread.pk)
        with pytest.raises(IntegrityError, match="is not there"), transaction.atomic():
            of_it.update(thread_id=uuid.uuid4())
        of_it.update(thread_id=other.pk)

    def test_keeps_the_key_of_the_thread(self, tenant: Tenant) -> None:
        thread = spoken(tenant)
        with pytest.raises(IntegrityError, match="points at"), transaction.atomic():
            Thread.objects.filter(pk=thread.pk).update(id=uuid.uuid4())
        Message.objects.all()._raw_delete(using="default")
        Thread.objects.filter(pk=thread.pk).update(id=uuid.uuid4())

    def test_keeps_the_threads_from_being_emptied_alone(self, tenant: Tenant) -> None:
        spoken(tenant)
        with connection.cursor() as cursor:
            cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
            with pytest.raises(IntegrityError, match="point at"), transaction.atomic():
                cursor.execute("TRUNCATE threads_thread CASCADE")
            cursor.execute("TRUNCATE threads_thread, threads_message CASCADE")


class TestRemoving:
    @pytest.mark.parametrize("who", ["owner", "workspace", "upkeep"])
    def test_a_thread_takes_its_messages_along_whoever_removes_it(self, tenant: Tenant, who: str) -> None:
        gone, kept = spoken(tenant), spoken(tenant)
        seen = {
            "owner": scope.as_owner(), "workspace": scope.within(tenant.workspace.pk),
            "upkeep": scope.through(Door.UPKEEP),
        }[who]  # fmt: skip
        with seen:
            Thread.objects.filter(pk=gone.pk)._raw_delete(using="default")
        assert set(Message.objects.values_list("thread_id", flat=True)) == {kept.pk}

    def test_many_at_once_take_theirs_and_no_others(self, tenant: Tenant) -> None:
        gone, kept = [spoken(tenant, n) for n in range(4)], [spoken(tenant) for _ in range(2)]
        Thread.objects.filter(pk__in=[each.pk for each in gone])._raw_delete(using="default")
        assert set(Message.objects.values_list("thread_id", flat=True)) == {each.pk for each in kept}


@pytest.mark.django_db(transaction=True)
class TestAtOnce:
    """Somebody writes into a thread while another removes it."""

    def test_what_is_written_first_goes_with_the_thread(self, transactional_db: None, tenant: Tenant) -> None:
        thread = spoken(tenant)
        removing = Elsewhere(lambda: Thread.objects.filter(pk=thread.pk)._raw_delete(using="default"))
        with transaction.atomic():
            message(thread).save()
            removing.begin()
            removing.wait_until_it_waits()
        assert removing.end() is None
        assert not Message.objects.filter(thread_id=thread.pk).exists()
        assert not Thread.objects.filter(pk=thread.pk).exists()

    def test_what_is_brought_in_bulk_goes_with_the_thread(self, transactional_db: None, tenant: Tenant) -> None:
        thread = spoken(tenant)
        removing = Elsewhere(lambda: Thread.objects.filter(pk=thread.pk)._raw_delete(using="default"))
        with transaction.atomic():
            assert bring(record(thread, 3), searchable=False) == 1
            removing.begin()
            removing.wait_until_it_waits()
        assert removing.end() is None
        assert not Message.objects.exists()

    def test_what_is_brought_in_bulk_second_is_refused(self, transactional_db: None, tenant: Tenant) -> None:
        thread = spoken(tenant)
        refused: list[str] = []

        def bringing() -> None:
            try:
                with transaction.atomic():
                    bring(record(thread, 3), searchable=False)
            except RestoreConflict as error:
                refused.append(error.code)

        writing = Elsewhere(bringing)
        with transaction.atomic():
            Thread.objects.filter(pk=thread.pk)._raw_delete(using="default")
            writing.begin()
            writing.wait_until_it_waits()
        assert writing.end() is None
        assert refused == ["restore_conflict"]
        assert not Message.objects.exists()

    def test_what_comes_second_is_refused(self, transactional_db: None, tenant: Tenant) -> None:
        thread = spoken(tenant)
        writing = Elsewhere(lambda: message(thread).save())
        with transaction.atomic():
            Thread.objects.filter(pk=thread.pk)._raw_delete(using="default")
            writing.begin()
            writing.wait_until_it_waits()
        assert isinstance(writing.end(), IntegrityError)
        assert not Message.objects.exists()

    def test_what_comes_second_stays_where_the_thread_does(self, transactional_db: None, tenant: Tenant) -> None:
        thread = spoken(tenant)
        writing = Elsewhere(lambda: message(thread).save())
        with transaction.atomic():
            Thread.objects.filter(pk=thread.pk)._raw_delete(using="default")
            writing.begin()
            writing.wait_until_it_waits()
            transaction.set_rollback(True)
        assert writing.end() is None
        assert Message.objects.filter(thread_id=thread.pk).count() == 3

    def test_who_writes_and_who_appends_do_not_wait_for_each_other(
        self, transactional_db: None, tenant: Tenant
    ) -> None:
        thread = spoken(tenant)
        writing = Elsewhere(lambda: message(thread, 4).save())
        with transaction.atomic():
            message(thread).save()
            writing.begin()
            assert writing.end() is None
        assert Message.objects.filter(thread_id=thread.pk).count() == 4

    def test_nothing_is_removed_by_who_looks_at_an_older_state(self, transactional_db: None, tenant: Tenant) -> None:
        thread = spoken(tenant, 0)
        writing = Elsewhere(lambda: message(thread, 1).save())
        with transaction.atomic():
            with connection.cursor() as cursor:
                cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            assert Thread.objects.filter(pk=thread.pk).exists()
            writing.begin()
            assert writing.end() is None
            with pytest.raises(DatabaseError, match="READ COMMITTED"), transaction.atomic():
                Thread.objects.filter(pk=thread.pk)._raw_delete(using="default")
        assert Message.objects.filter(thread_id=thread.pk).exists()
