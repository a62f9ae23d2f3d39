"""A held thread that is archived, or whose agent or session goes, keeps its words and all that belongs to them."""

from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from chat_sessions.models import ChatSession
from tests.conftest import Api, Tenant
from tests.lifecycle.conftest import old_thread
from tests.lifecycle.persons import own_attachments as own_attachments  # fixture
from tests.lifecycle.persons import written
from tests.lifecycle.test_commands import run
from tests.lifecycle.test_holds import SCOPES, held
from threadhub.isolation import scope as isolation
from threadhub.lib import ids
from threads.actions.chat_sessions import open_with_thread
from threads.lifecycle import acts, holds, reading, restore
from threads.lifecycle.bundles import archive, rewrite
from threads.models import Bundle, BundledThread, Feedback, Hold, Message, Run, Thread

NOW = timezone.now
CHECKED_NOW = "SET CONSTRAINTS ALL IMMEDIATE"


def refused(*statements: str) -> None:
    """None of these gets through, at the latest when it is to be committed."""
    for statement in statements:
        with (
            pytest.raises(IntegrityError, match="legal hold"),
            isolation.as_owner(),
            transaction.atomic(),
            connection.cursor() as cursor,
        ):
            cursor.execute(f"{statement}; {CHECKED_NOW}")


def done(statement: str) -> None:
    with isolation.as_owner(), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement)
        cursor.execute(CHECKED_NOW)
        cursor.execute("SET CONSTRAINTS ALL DEFERRED")


@pytest.fixture
def two(tenant: Tenant) -> tuple[Thread, Thread]:
    """Two archived threads of one bundle."""
    threads = [old_thread(tenant, days, external_ref=f"customer {days}") for days in (100, 99)]
    with transaction.atomic():
        archive.archive(workspace_id=tenant.workspace.pk, thread_ids=[each.pk for each in threads], now=NOW())
    first, second = (Thread.objects.get(pk=each.pk) for each in threads)
    return first, second


def said(thread: Thread) -> list[str | None]:
    return [message.content for message in reading.messages(Thread.objects.get(pk=thread.pk))]


@pytest.mark.parametrize("scope", SCOPES)
def test_sql_cannot_make_an_archived_thread_unreadable(tenant: Tenant, two: tuple[Thread, Thread], scope: str) -> None:
    thread, _ = two
    words = said(thread)
    hold = held(tenant, scope, thread)
    of_it = f"WHERE thread_id = '{thread.pk}'"
    other = Bundle.objects.get()
    other.pk, other.number, other.name = ids.new(), 9, "another"
    other.save(force_insert=True)
    refused(
        f"DELETE FROM threads_bundledthread {of_it}",
        f"UPDATE threads_bundledthread SET frames = '[]' {of_it}",
        f"UPDATE threads_bundledthread SET sha256 = 'x' {of_it}",
        f"UPDATE threads_bundledthread SET bundle_id = '{other.pk}' {of_it}",
        f"UPDATE threads_bundledthread SET bundle_id = '{other.pk}', frames = '[]' {of_it}",
        f"UPDATE threads_bundledthread SET bundle_id = '{other.pk}', counts = '{{}}' {of_it}",
        f"UPDATE threads_thread SET state = 'active' WHERE id = '{thread.pk}'",
        f"UPDATE threads_thread SET bundle_id = NULL WHERE id = '{thread.pk}'",
        f"UPDATE threads_thread SET state = 'trashed', purge_after = now() WHERE id = '{thread.pk}'",
        f"UPDATE threads_thread SET state = 'active', bundle_id = NULL WHERE id = '{thread.pk}';"
        f" DELETE FROM threads_bundledthread {of_it}",
        "UPDATE threads_bundle SET path = 'elsewhere'",
        "UPDATE threads_bundle SET removed_at = now()",
        "UPDATE threads_hold SET scope = 'thread', external_ref = NULL, target_id = gen_random_uuid()",
        f"{CHECKED_NOW}; TRUNCATE threads_bundledthread CASCADE",
        f"{CHECKED_NOW}; TRUNCATE threads_bundle CASCADE",
        f"{CHECKED_NOW}; TRUNCATE threads_hold CASCADE",
    )
    for table in ("thread", "bundle"):  # their references say it first
        with pytest.raises(IntegrityError), isolation.as_owner(), transaction.atomic():
            connection.cursor().execute(f"DELETE FROM threads_{table}")
    assert said(thread) == words
    assert Hold.objects.get().in_force
    holds.release(actor=tenant.actor, hold=hold, now=NOW())
    done(f"UPDATE threads_bundledthread SET frames = '[]' {of_it}")
    done("UPDATE threads_bundle SET removed_at = now()")


def test_nor_can_sql_that_looks_elsewhere_when_it_commits(
    tenant: Tenant, other_tenant: Tenant, two: tuple[Thread, Thread]
) -> None:
    thread, _ = two
    held(tenant, "thread", thread)

    def look_elsewhere() -> None:
        with isolation.within(tenant.workspace.pk), transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("DELETE FROM threads_bundledthread WHERE thread_id = %s", [thread.pk])
            assert cursor.rowcount == 1
            cursor.execute("SELECT set_config('threadhub.scope', %s, true)", [str(other_tenant.workspace.pk)])
            cursor.execute(CHECKED_NOW)

    done("SELECT")  # what the archiving itself left to be looked at
    with pytest.raises(IntegrityError, match="legal hold"):
        look_elsewhere()


def test_its_neighbours_are_not_held(tenant: Tenant, two: tuple[Thread, Thread]) -> None:
    thread, neighbour = two
    held(tenant, "thread", thread)
    done(f"DELETE FROM threads_bundledthread WHERE thread_id = '{neighbour.pk}'")
    assert BundledThread.objects.get().thread_id == thread.pk


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("scope", ["thread", "external_ref"])
def test_it_moves_to_another_bundle_when_its_neighbour_goes(
    tenant: Tenant, two: tuple[Thread, Thread], scope: str
) -> None:
    thread, neighbour = two
    words = said(thread)
    held(tenant, scope, thread)
    acts.delete(actor=tenant.actor, thread=neighbour, now=NOW())
    assert said(thread) == words
    assert BundledThread.objects.get().bundle_id == Bundle.objects.get(removed_at__isnull=True).pk


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("scope", SCOPES)
@pytest.mark.parametrize("by", ["domain", "command"])
def test_it_can_be_restored(tenant: Tenant, two: tuple[Thread, Thread], scope: str, by: str) -> None:
    thread, _ = two
    words = said(thread)
    held(tenant, scope, thread)
    if by == "domain":
        restore.restore(actor=tenant.actor, thread=thread, now=NOW())
    else:
        assert run("restore_threads", f"--thread={thread.wire_id}", "--yes")[0]["taken"] == 1
    assert Thread.objects.get(pk=thread.pk).state == "active"
    assert said(thread) == words
    assert Message.objects.count() == 3


@pytest.mark.django_db(transaction=True)
def test_a_bundle_that_is_rewritten_without_it_is_refused_at_the_commit(
    tenant: Tenant, two: tuple[Thread, Thread]
) -> None:
    thread, _ = two
    words = said(thread)
    held(tenant, "thread", thread)
    with pytest.raises(IntegrityError, match="legal hold"), transaction.atomic():
        rewrite.drop(workspace_id=tenant.workspace.pk, thread_ids=[thread.pk], now=NOW())
    assert said(thread) == words


def test_what_belongs_to_it_stays_too(tenant: Tenant) -> None:
    thread = written(tenant, old_thread(tenant))
    hold = held(tenant, "thread", thread)
    tables = ("run", "feedback", "summary")
    refused(*(f"DELETE FROM threads_{table}" for table in tables))
    refused(*(f"{CHECKED_NOW}; TRUNCATE threads_{table} CASCADE" for table in (*tables, "branch", "toolapproval")))
    assert (Run.objects.count(), Feedback.objects.count()) == (1, 1)
    holds.release(actor=tenant.actor, hold=hold, now=NOW())
    done("DELETE FROM threads_feedback")


def test_feedback_on_it_is_not_withdrawn(tenant: Tenant, api: Api) -> None:
    thread = old_thread(tenant)
    answer = Message.objects.get(role="assistant")
    path = f"/threads/{thread.wire_id}/messages/{answer.wire_id}/feedback"
    assert api.put(path, {"rating": 1}, content_type="application/json").status_code in (200, 201)
    hold = held(tenant, "thread", thread)
    refusal = api.delete(path)
    assert (refusal.status_code, refusal.json()["code"]) == (423, "thread_held")
    holds.release(actor=tenant.actor, hold=hold, now=NOW())
    assert api.delete(path).status_code == 204


@pytest.mark.parametrize("scope", SCOPES)
def test_it_survives_the_deletion_of_its_agent(tenant: Tenant, two: tuple[Thread, Thread], scope: str) -> None:
    words = said(two[0])
    held(tenant, scope, two[0])
    with pytest.raises(IntegrityError), isolation.as_owner(), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("DELETE FROM agents_agent")
    assert said(two[0]) == words


def test_it_survives_the_deletion_of_its_session(tenant: Tenant) -> None:
    opened: Any = open_with_thread(actor=tenant.actor, agent_id=tenant.agent.pk, external_ref="x", now=NOW())
    thread = Thread.objects.get(pk=opened.thread.pk)
    held(tenant, "external_ref", thread)
    ChatSession.objects.all()._raw_delete(using="default")
    thread.refresh_from_db()
    assert (thread.chat_session_id, thread.external_ref, holds.covers(thread=thread)) == (None, "x", True)
    with pytest.raises(holds.ThreadHeld):
        acts.delete(actor=tenant.actor, thread=thread, now=NOW())
