"""What an append costs: the same at any length, and no index hears of the thread's row."""

import pytest
from django.db import connection
from django.utils import timezone

from tests.conftest import Tenant
from threads.actions import messages as appending
from threads.actions import threads
from threads.actions.messages import Draft
from threads.models import Thread

TIMES = 25
LONG = 10_000
FILL = """
WITH filled AS (
    UPDATE threads_thread SET last_position = %(count)s, message_count = %(count)s WHERE id = %(thread)s
 RETURNING id, workspace_id
)
INSERT INTO threads_message (id, workspace_id, thread_id, position, role, kind, content, extra, partial, author)
SELECT gen_random_uuid(), workspace_id, id, n, 'user', 'text', 'message ' || n, '{}', false, ''
  FROM filled, generate_series(1, %(count)s) AS n
"""


def new(tenant: Tenant, count: int) -> Thread:
    thread = threads.create(actor=tenant.actor, agent_id=tenant.agent.pk, now=timezone.now())
    with connection.cursor() as cursor:
        cursor.execute(FILL, {"thread": thread.pk, "count": count})
    return thread


def append(tenant: Tenant, thread: Thread) -> int:
    """Bytes of write-ahead log that it took."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_current_wal_insert_lsn()")
        (before,) = cursor.fetchone()
        appending.append(actor=tenant.actor, thread=thread, drafts=[Draft(role="user", content="x" * 200)])
        cursor.execute("SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), %s)::bigint", [before])
        return int(cursor.fetchone()[0])


def test_it_costs_the_same_at_message_10_and_10000(tenant: Tenant) -> None:
    short, long = new(tenant, 10), new(tenant, LONG)
    # The least of many: tests beside this one write to the same log.
    costs = {thread.pk: min(append(tenant, thread) for _ in range(TIMES)) for thread in (short, long)}
    assert costs[long.pk] < 2 * costs[short.pk]


def test_the_row_of_its_thread_is_updated_in_place(tenant: Tenant) -> None:
    """A HOT update, since none of its indexes has a column that an append changes."""
    thread = new(tenant, 1)
    before = updates()
    for _ in range(TIMES):
        append(tenant, thread)
    every, hot = (now - then for now, then in zip(updates(), before, strict=True))
    assert every == TIMES
    assert hot >= TIMES - 2  # one may find its page full, one begins another ten minutes (`updated_about`)


def updates() -> tuple[int, int]:
    """Of threads in this transaction: all, and those that no index heard of."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT n_tup_upd, n_tup_hot_upd FROM pg_stat_xact_user_tables WHERE relname = 'threads_thread'")
        row: tuple[int, int] = cursor.fetchone()
        return row


@pytest.mark.django_db
def test_room_for_updates_and_vacuum_are_set() -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT relname, reloptions FROM pg_class WHERE relname IN ('threads_thread', 'threads_message') ORDER BY 1"
        )
        settings = {name: set(options or ()) for name, options in cursor.fetchall()}
    vacuum = {"autovacuum_vacuum_scale_factor=0.02", "autovacuum_vacuum_insert_scale_factor=0.01"}
    assert settings == {"threads_thread": {"fillfactor=85", *vacuum}, "threads_message": vacuum}
