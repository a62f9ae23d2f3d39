"""Row-level security: what a query finds that forgot to say whose rows it wants."""

from typing import Any

import pytest
from django.db import ProgrammingError, connection, models, transaction
from django.test import override_settings
from django.utils import timezone

from tests.conftest import Api, Tenant
from threadhub.api.rest.views.threads import Threads
from threadhub.isolation import scope, walls
from threadhub.isolation.scope import Door
from threads.actions import threads as actions
from threads.actions.messages import Draft, append
from threads.models import Message, Thread
from threads.querysets.threads import ThreadQuerySet


@pytest.fixture
def two_threads(tenant: Tenant, other_tenant: Tenant) -> tuple[Thread, Thread]:
    made = [
        actions.create(actor=each.actor, agent_id=each.agent.pk, title=each.workspace.name, now=timezone.now())
        for each in (tenant, other_tenant)
    ]
    return made[0], made[1]


def test_every_table_with_a_workspace_has_its_wall(db: None) -> None:
    with connection.cursor() as cursor:
        found = walls.tables(cursor)
    assert {"threads_thread", "threads_message", "agents_agent", "audit_auditevent", walls.WORKSPACES} <= dict(
        found
    ).keys()
    assert [table for table, walled in found if not walled] == []


def test_it_sees_a_table_without_a_wall(db: None) -> None:
    with connection.cursor() as cursor:
        cursor.execute("CREATE TABLE bare (workspace_id uuid, secret text)")
        assert ("bare", False) in walls.tables(cursor)
        walls.build(cursor)
        assert ("bare", True) in walls.tables(cursor)
        cursor.execute("INSERT INTO bare VALUES (gen_random_uuid(), 'x')")
    with scope.nowhere(), connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM bare")
        assert cursor.fetchone() == (0,)


def test_the_roles_own_nothing_and_cannot_pass(db: None) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT rolname, rolcanlogin OR rolsuper OR rolbypassrls OR rolcreaterole OR rolcreatedb,"
            " (SELECT count(*) FROM pg_class WHERE relowner = pg_roles.oid)"
            " FROM pg_roles WHERE rolname = ANY (%s) ORDER BY rolname",
            [list(walls.ROLES)],
        )
        assert cursor.fetchall() == [("threadhub_app", False, 0), ("threadhub_door", False, 0)]


def test_a_query_without_a_filter_finds_only_the_rows_of_its_workspace(
    two_threads: tuple[Thread, Thread], tenant: Tenant, other_tenant: Tenant
) -> None:
    mine, foreign = two_threads
    with scope.within(tenant.workspace.pk):
        assert list(Thread.objects.all()) == [mine]
        assert not Thread.objects.filter(pk=foreign.pk).exists()
        assert Thread.objects.filter(pk=foreign.pk).update(title="taken") == 0
        assert Thread.objects.filter(pk=foreign.pk)._raw_delete(using="default") == 0
    with scope.within(other_tenant.workspace.pk):
        assert list(Thread.objects.all()) == [foreign]
    with scope.within(tenant.workspace.pk, other_tenant.workspace.pk):
        assert set(Thread.objects.all()) == {mine, foreign}
    with scope.nowhere():
        assert list(Thread.objects.all()) == []
    with scope.through(Door.UPKEEP):
        assert set(Thread.objects.all()) == {mine, foreign}


def test_a_row_cannot_be_put_into_another_workspace(two_threads: tuple[Thread, Thread], tenant: Tenant) -> None:
    mine, foreign = two_threads
    row: dict[str, Any] = {"thread_id": foreign.pk, "workspace_id": foreign.workspace_id, "position": 1, "role": "user"}
    with scope.within(tenant.workspace.pk):
        with pytest.raises(ProgrammingError, match="row-level security"), transaction.atomic():
            Message.objects.create(**row)
        with pytest.raises(ProgrammingError, match="row-level security"), transaction.atomic():
            Thread.objects.filter(pk=mine.pk).update(workspace_id=foreign.workspace_id)


def test_a_rollback_does_not_bring_an_earlier_scope_back(
    two_threads: tuple[Thread, Thread], tenant: Tenant, other_tenant: Tenant
) -> None:
    mine, foreign = two_threads
    with scope.within(tenant.workspace.pk):
        assert list(Thread.objects.all()) == [mine]
    with scope.within(other_tenant.workspace.pk):
        with transaction.atomic():
            assert list(Thread.objects.all()) == [foreign]  # set inside of what is taken back
            transaction.set_rollback(True)
        assert list(Thread.objects.all()) == [foreign]


class Leaky(Threads):
    """A list that forgot whose threads it shows."""

    def get_queryset(self) -> ThreadQuerySet:
        return Thread.objects.all()


@pytest.mark.parametrize("walled", [True, False])
def test_a_planted_leak_is_caught_by_the_wall(
    two_threads: tuple[Thread, Thread], api: Api, monkeypatch: pytest.MonkeyPatch, walled: bool
) -> None:
    """Without the wall the same view does show the foreign thread: so the wall it is that keeps it back."""
    mine, foreign = two_threads
    monkeypatch.setattr(Threads, "get_queryset", Leaky.get_queryset)
    if not walled:
        with connection.cursor() as cursor:
            cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
            cursor.execute("ALTER TABLE threads_thread DISABLE ROW LEVEL SECURITY")
    shown = {thread["id"] for thread in api.get("/threads").json()["data"]}
    assert mine.wire_id in shown
    assert (foreign.wire_id in shown) is not walled


def test_a_request_leaves_nothing_open_for_the_next(two_threads: tuple[Thread, Thread], api: Api) -> None:
    assert api.get("/threads").status_code == 200
    assert scope.current().owner  # the tests' own, as before
    with override_settings(), scope.nowhere():
        assert api.get("/threads").status_code == 200
        assert scope.current() == scope.NOWHERE


def copied(model: type[models.Model], source: str, **values: str) -> str:
    """SQL that copies a table's only row for each row of `source`, with other values in some columns."""
    columns = [field.column for field in model._meta.concrete_fields if not field.generated]
    assert values.keys() <= set(columns)
    taken = ", ".join(values.get(column, f"row.{column}") for column in columns)
    table = model._meta.db_table
    return f"INSERT INTO {table} ({', '.join(columns)}) SELECT {taken} FROM {table} AS row, {source}"


def many_threads(tenant: Tenant) -> None:
    """3,000 threads with a message each, titled and saying "number n"."""
    thread = actions.create(actor=tenant.actor, agent_id=tenant.agent.pk, now=timezone.now())
    append(actor=tenant.actor, thread=thread, drafts=[Draft(role="user", content="the first")])
    title = {"id": "gen_random_uuid()", "title": "'number ' || n", "metadata": "jsonb_build_object('a', n)"}
    said = {"id": "gen_random_uuid()", "thread_id": "thread.id", "content": "thread.title"}
    with connection.cursor() as cursor:
        cursor.execute(copied(Thread, "generate_series(1, 3000) AS n", **title))
        cursor.execute(copied(Message, "threads_thread AS thread WHERE thread.title IS NOT NULL", **said))


def test_what_is_searched_for_is_found_by_its_index_behind_the_wall(tenant: Tenant) -> None:
    """PostgreSQL uses an index behind a wall only for functions that are marked as telling nothing of hidden rows."""
    workspace = tenant.workspace.pk
    many_threads(tenant)
    with connection.cursor() as cursor:
        assert walls.unmarked(cursor) == []
        cursor.execute("ANALYZE threads_thread, threads_message")
        cursor.execute("SET LOCAL enable_seqscan = off")
        for index in ("thread_metadata", "thread_title", "message_text"):
            cursor.execute("SELECT gin_clean_pending_list(%s)", [index])
    conditions = {
        "thread_metadata": "SELECT id FROM threads_thread WHERE jsonb_set('{}', ARRAY[workspace_id::text], metadata)"
        " @> jsonb_build_object(%s::uuid::text, '{\"a\": 7}'::jsonb)",
        "thread_title": "SELECT id FROM threads_thread WHERE workspace_id = %s AND"
        " upper(title) LIKE upper('%%number 777%%')",
        "message_text": "SELECT id FROM threads_message WHERE workspace_id = %s AND searchable AND"
        " to_tsvector('simple', left(content, 100000)) @@ websearch_to_tsquery('simple', '777')",
    }
    with scope.within(workspace), connection.cursor() as cursor:
        for index, sql in conditions.items():
            cursor.execute(f"EXPLAIN {sql}", [workspace])
            plan = "\n".join(line for (line,) in cursor.fetchall())
            assert f"Bitmap Index Scan on {index}" in plan, plan
