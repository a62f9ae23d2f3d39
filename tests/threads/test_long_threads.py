"""A thread of 20,000 messages is asked as one of 50: as many queries, each bounded, each by its index."""

import re
from collections.abc import Iterator
from itertools import count
from typing import Any

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from tests.conftest import Tenant
from tests.threads.conftest import answer, ask
from threads import whole_rows
from threads.actions import threads
from threads.models import Thread
from threads.whole_rows import Part

pytestmark = pytest.mark.django_db(transaction=True)
SHORT, LONG = 50, 20_000
BUDGET = 4_000  # tokens: some 400 of these messages, read in pages of 200; the rest must not be touched
MOST_ROWS = 800
FILL = """
INSERT INTO threads_message ({columns})
SELECT {values} FROM threads_message m, generate_series(2, %(count)s) AS n WHERE m.thread_id = %(thread)s
"""


def of_length(tenant: Tenant, count: int) -> Thread:
    """A thread with so many messages, copied within the database from its first one."""
    thread = threads.create(actor=tenant.actor, agent_id=tenant.agent.pk, now=timezone.now())
    answer(tenant, thread, "/say " + "a hundred characters " * 5)
    thread.messages.filter(position__gt=1)._raw_delete(using="default")
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(
            "SELECT column_name FROM information_schema.columns"
            " WHERE table_name = 'threads_message' AND is_generated = 'NEVER'"
        )
        columns = [f'"{name}"' for (name,) in cursor.fetchall()]
        own = {'"id"': "gen_random_uuid()", '"position"': "n", '"content"': "'a hundred characters ' || n"}
        values = [own.get(name, f"m.{name}") for name in columns]
        cursor.execute(
            FILL.format(columns=", ".join(columns), values=", ".join(values)), {"count": count, "thread": thread.pk}
        )
        cursor.execute(
            "UPDATE threads_thread SET message_count = %s, last_position = %s WHERE id = %s", [count, count, thread.pk]
        )
        cursor.execute("ANALYZE threads_message")
    return thread


class Asked:
    """Statements that read messages, with their values; the log of queries has those of prepared ones without."""

    def __init__(self) -> None:
        self.statements: list[tuple[str, Any]] = []

    def __call__(self, execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        if re.match(r'SELECT .* FROM "threads_message"', sql, re.DOTALL):
            self.statements.append((sql, params))
        return execute(sql, params, many, context)


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for child in plan.get("Plans", []):
        yield from nodes(child)


def plan_of(sql: str, params: Any) -> list[dict[str, Any]]:
    """The plan for whatever values, which is the one that PostgreSQL keeps for a prepared statement."""
    places = count(1)
    statement = re.sub("%[s%]", lambda at: f"${next(places)}" if at[0] == "%s" else "%", sql)
    with connection.cursor() as cursor:
        cursor.execute("SET plan_cache_mode = force_generic_plan")
        cursor.execute(f"PREPARE asked AS {statement}")
        values = f"({', '.join(['%s'] * len(params))})" if params else ""
        cursor.execute(f"EXPLAIN (ANALYZE, FORMAT JSON) EXECUTE asked{values}", params)
        (found,) = cursor.fetchone()
        cursor.execute("DEALLOCATE asked")
        cursor.execute("RESET plan_cache_mode")
    return list(nodes(found[0]["Plan"]))


def test_it_is_asked_with_as_many_queries_as_a_short_one(tenant: Tenant) -> None:
    numbers = []
    for number in (SHORT, LONG):
        thread = of_length(tenant, number)
        with CaptureQueriesContext(connection) as queries:
            ask(tenant, thread, "/say short")
        numbers.append(len(queries))
    assert numbers[0] == numbers[1]


def test_what_a_model_is_given_is_read_by_an_index_and_no_more_than_fits(tenant: Tenant) -> None:
    from threads.runs import context, tools

    tenant.agent.context_budget = BUDGET
    tenant.agent.save()
    run = ask(tenant, of_length(tenant, LONG), "/say short")
    asked = Asked()
    with connection.execute_wrapper(asked):
        built = context.build(run=run, tools=tools.effective(run))
    assert built.last == LONG + 1
    assert asked.statements
    rows = 0
    for sql, params in asked.statements:
        for node in plan_of(sql, params):
            if node.get("Relation Name") == "threads_message":
                assert node["Node Type"] != "Seq Scan", sql
                rows += node["Actual Rows"]
                assert node.get("Index Name"), node
                assert not node.get("Rows Removed by Filter"), node
    assert rows <= MOST_ROWS


@pytest.mark.parametrize("part", [Part(limit=51, last=True), Part(limit=51), Part(before=15_000, limit=51, last=True)])
def test_a_page_is_read_without_the_rest_of_the_thread(part: Part, tenant: Tenant) -> None:
    thread = of_length(tenant, LONG)
    with transaction.atomic():
        before = rows_of_messages()
        read = whole_rows.read(actor=tenant.actor, thread_id=thread.pk, agent_id=None, now=timezone.now(), part=part)
        assert rows_of_messages() - before <= 2 * 51
    assert read is not None
    assert len(read.messages) == 51


def rows_of_messages() -> int:
    """Rows of messages that this transaction has read, by whatever way."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_stat_get_xact_tuples_returned(oid) + pg_stat_get_xact_tuples_fetched(oid) FROM pg_class"
            " WHERE oid = 'threads_message'::regclass"
        )
        return int(cursor.fetchone()[0])
