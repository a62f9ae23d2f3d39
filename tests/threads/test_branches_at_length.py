"""A long thread with branches is read as one without: by the index on (thread, position), as far as is asked for."""

from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from tests.conftest import Tenant
from threads import branches
from threads.models import Message, Run, Thread
from threads.runs import again, context
from threads.runs.tools import ToolSet

pytestmark = pytest.mark.django_db
LENGTH = 20_000
INDEX = "message_position_once"


def fill(thread: Thread, count: int) -> None:
    """Messages at the next positions, written by the database itself."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            INSERT INTO threads_message (id, workspace_id, thread_id, position, role, kind, content, extra, partial)
            SELECT gen_random_uuid(), %(workspace)s, %(thread)s, position, 'user', 'text', 'message ' || position,
                   '{}', false
              FROM generate_series(%(first)s, %(last)s) AS position
            """,
            {
                "workspace": thread.workspace_id,
                "thread": thread.pk,
                "first": thread.last_position + 1,
                "last": thread.last_position + count,
            },
        )
    thread.last_position += count
    thread.message_count += count
    thread.save(update_fields=["last_position", "message_count"])


@pytest.fixture
def long_thread(tenant: Tenant, thread: Thread) -> Thread:
    """Twenty thousand messages, forked near the end and near the beginning; beside it a thread without branches."""
    fill(Thread.objects.create(workspace=tenant.workspace, agent=tenant.agent), 2_000)
    fill(thread, LENGTH)
    for before in (LENGTH - 10, 101):
        branches.fork(thread=thread, before=before, actor=tenant.actor, now=timezone.now())
        fill(thread, 60)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE threads_message")
    return thread


def plan(rows: Any) -> dict[str, Any]:
    """The top of the plan that PostgreSQL makes and executes."""
    sql, parameters = rows.query.sql_with_params()
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN (ANALYZE, FORMAT JSON, TIMING OFF) {sql}", parameters)
        (found,) = cursor.fetchone()
    top: dict[str, Any] = found[0]["Plan"]
    return top


@pytest.mark.parametrize("number", [1, 2, 3])
def test_the_newest_messages_come_from_the_end_of_the_index(long_thread: Thread, number: int) -> None:
    path = branches.get(thread=long_thread, number=number).path
    messages = Message.objects.of_all_branches(long_thread).on(path).order_by("-position")
    for rows, size in ((messages, 50), (messages, context.FIRST_PAGE), (messages.before(LENGTH - 500), 50)):
        top = plan(rows[:size])
        (scan,) = top["Plans"]
        assert (top["Node Type"], scan["Node Type"], scan["Index Name"]) == ("Limit", "Index Scan", INDEX)
        assert scan["Scan Direction"] == "Backward"
    newest = plan(messages[:50])["Plans"][0]
    assert (newest["Actual Rows"], newest["Rows Removed by Filter"] if number > 1 else 0) == (50, 0)


def test_what_the_model_is_given_reads_one_page_from_the_end(
    tenant: Tenant, long_thread: Thread, django_assert_num_queries: Any
) -> None:
    tenant.agent.context_budget = 200
    tenant.agent.save()
    run = Run.objects.create(workspace=tenant.workspace, thread=long_thread, agent=tenant.agent, number=1)
    with django_assert_num_queries(2) as queries:  # the summaries; the newest messages, and whether there are files
        built = context.build(run=run, tools=ToolSet({}, {}))
    assert f"LIMIT {context.FIRST_PAGE}" in queries.captured_queries[1]["sql"]
    assert (built.last, len(built.request.messages) < context.FIRST_PAGE) == (long_thread.last_position, True)


def test_an_answer_is_regenerated_without_reading_the_thread(tenant: Tenant, thread: Thread) -> None:
    """The messages of its run come by an index of their own."""
    fill(thread, LENGTH)
    run = Run.objects.create(workspace=tenant.workspace, thread=thread, agent=tenant.agent, number=1)
    Message.objects.filter(thread=thread, position__gt=LENGTH - 3).update(run_id=run.pk, role="assistant")
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE threads_message")
    message = thread.messages.get(position=LENGTH)
    assert again._first_of_answer(thread, message) == LENGTH - 2
    top = plan(Message.objects.of_all_branches(thread).order_by().filter(run_id=run.pk))
    assert (top["Node Type"], top.get("Index Name")) == ("Index Scan", "message_of_run")


def test_paging_back_over_what_a_fork_left_out_is_bounded(long_thread: Thread) -> None:
    """A page next to the stretch reads no more than the stretch, and by the index."""
    rows = Message.objects.of_thread(long_thread).order_by("-position").before(LENGTH + 61)
    scan = plan(rows[:50])["Plans"][0]
    assert scan["Index Name"] == INDEX
    assert scan["Rows Removed by Filter"] <= LENGTH
