"""A thread of 20,000 messages is asked as one of 50: as many queries, each bounded, each by its index."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from tests.conftest import Tenant
from tests.threads.conftest import answer, ask
from threads.actions import threads
from threads.models import Thread

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


def selects_of_messages(queries: CaptureQueriesContext) -> list[str]:
    return [query["sql"] for query in queries if re.match(r'SELECT .* FROM "threads_message"', query["sql"], re.DOTALL)]


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for child in plan.get("Plans", []):
        yield from nodes(child)


def plan_of(sql: str) -> list[dict[str, Any]]:
    with connection.cursor() as cursor:
        cursor.execute("EXPLAIN (ANALYZE, FORMAT JSON) " + sql)
        (found,) = cursor.fetchone()
    return list(nodes(found[0]["Plan"]))


def test_it_is_asked_with_as_many_queries_as_a_short_one(tenant: Tenant) -> None:
    numbers = []
    for count in (SHORT, LONG):
        thread = of_length(tenant, count)
        with CaptureQueriesContext(connection) as queries:
            ask(tenant, thread, "/say short")
        numbers.append(len(queries))
    assert numbers[0] == numbers[1]


def test_what_a_model_is_given_is_read_by_an_index_and_no_more_than_fits(tenant: Tenant) -> None:
    from threads.runs import context, tools

    tenant.agent.context_budget = BUDGET
    tenant.agent.save()
    run = ask(tenant, of_length(tenant, LONG), "/say short")
    with CaptureQueriesContext(connection) as queries:
        built = context.build(run=run, tools=tools.effective(run))
    assert built.last == LONG + 1
    reads = selects_of_messages(queries)
    assert reads
    rows = 0
    for sql in reads:
        for node in plan_of(sql):
            if node.get("Relation Name") == "threads_message":
                assert node["Node Type"] != "Seq Scan", sql
                rows += node["Actual Rows"]
                assert node.get("Index Name"), node
                assert not node.get("Rows Removed by Filter"), node
    assert rows <= MOST_ROWS
