"""What row-level security costs: the same statements with and without it, in turn, in one run.

    python -m tests.bench.isolation [--threads 100000] [--rounds 7]

Starts an embedded PostgreSQL of its own in a temporary directory. Prints the median time of each statement as the owner
(no wall), as the application in one workspace, and as the application that changes workspace before every statement.
"""

import argparse
import atexit
import os
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable
from typing import Any

SEED = """
INSERT INTO threads_thread
       (id, workspace_id, agent_id, title, metadata, state, origin, message_count, last_position, created_at)
SELECT uuidv7(), %(workspace)s, %(agent)s, 'number ' || n, jsonb_build_object('k', n %% 5000), 'active',
       'direct', 50, 50, now() - n * interval '1 second'
  FROM generate_series(1, %(threads)s) AS n
"""
MESSAGES = """
INSERT INTO threads_message (id, workspace_id, thread_id, position, role, kind, content, extra, partial)
SELECT uuidv7(), workspace_id, id, n, 'user', 'text', repeat('word ', 100), '{}', false
  FROM (SELECT * FROM threads_thread WHERE workspace_id = %(workspace)s ORDER BY created_at DESC LIMIT 200) AS thread,
       generate_series(1, 50) AS n
"""
TIMES = 200  # of each statement in each round
STATEMENTS = {
    "newest 20 threads": "SELECT id, title, created_at FROM threads_thread WHERE workspace_id = %(workspace)s"
    " AND state IN ('active', 'archived') ORDER BY created_at DESC, id DESC LIMIT 20",
    "thread with 50 messages": "SELECT id, role, content, created_at FROM threads_message"
    " WHERE thread_id = %(thread)s AND workspace_id = %(workspace)s ORDER BY position",
    "newest 20 by metadata": "SELECT id FROM threads_thread WHERE"
    " jsonb_set('{}', ARRAY[workspace_id::text], metadata) @> jsonb_build_object(%(workspace)s::text,"
    " '{\"k\": 77}'::jsonb) ORDER BY created_at DESC, id DESC LIMIT 20",
    "append a message": "WITH taken AS (UPDATE threads_thread SET last_position = last_position + 1,"
    " message_count = message_count + 1 WHERE id = %(thread)s AND workspace_id = %(workspace)s RETURNING last_position)"
    " INSERT INTO threads_message (id, workspace_id, thread_id, position, role, kind, content, extra, partial)"
    " SELECT uuidv7(), %(workspace)s, %(thread)s, last_position, 'user', 'text', 'hello', '{}', false"
    " FROM taken",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=100_000, help="in each of two workspaces")
    parser.add_argument("--rounds", type=int, default=7)
    wanted = parser.parse_args()
    home = tempfile.mkdtemp(prefix="threadhub-bench-")
    atexit.register(
        shutil.rmtree, home, ignore_errors=True
    )  # first registered, last done: the server in it has ended by then
    os.environ.update(DJANGO_SETTINGS_MODULE="threadhub.settings", THREADHUB_DATA_DIR=home, DATABASE_URL="")
    import django

    django.setup()
    _measure(wanted.threads, wanted.rounds)


def _measure(threads: int, rounds: int) -> None:
    from django.core.management import call_command

    from threadhub.isolation import scope

    call_command("migrate", verbosity=0)
    with scope.as_owner():
        tenants = [_tenant(name, threads) for name in ("one", "two")]
    first = tenants[0]
    ways: dict[str, Callable[[int], Any]] = {
        "without": lambda turn: (scope.as_owner(), first),
        "with": lambda turn: (scope.within(first["workspace"]), first),
        "changing": lambda turn: (scope.within(tenants[turn % 2]["workspace"]), tenants[turn % 2]),
    }
    print(f"{'statement':<26}{'without':>12}{'with':>12}{'ratio':>8}{'changing':>12}{'ratio':>8}")
    for name, sql in STATEMENTS.items():
        times: dict[str, list[float]] = {way: [] for way in ways}
        for number in range(rounds + 1):
            for way, enter in ways.items():
                spent = _round(sql, enter)
                if number:  # the first warms up
                    times[way].append(spent)
        bare, walled, changing = (statistics.median(times[way]) for way in ways)
        figures = f"{bare * 1e6:>9.0f} µs{walled * 1e6:>9.0f} µs{walled / bare:>8.2f}"
        print(f"{name:<26}{figures}{changing * 1e6:>9.0f} µs{changing / bare:>8.2f}")


def _round(sql: str, enter: Callable[[int], Any]) -> float:
    from django.db import connection

    started = time.perf_counter()
    for turn in range(TIMES):
        where, tenant = enter(turn)
        with where, connection.cursor() as cursor:
            cursor.execute(sql, tenant)
            if cursor.description:
                cursor.fetchall()
    return (time.perf_counter() - started) / TIMES


def _tenant(name: str, threads: int) -> dict[str, Any]:
    from django.db import connection

    from threadhub.agents.models import Agent
    from threadhub.workspaces.models import Workspace

    workspace = Workspace.objects.create(name=name)
    agent = Agent.objects.create(workspace=workspace, name=name)
    tenant = {"workspace": workspace.pk, "agent": agent.pk, "threads": threads}
    with connection.cursor() as cursor:
        cursor.execute(SEED, tenant)
        cursor.execute(MESSAGES, tenant)
        cursor.execute("ANALYZE threads_thread, threads_message")
        cursor.execute("SELECT thread_id FROM threads_message WHERE workspace_id = %(workspace)s LIMIT 1", tenant)
        return {**tenant, "thread": cursor.fetchone()[0]}


if __name__ == "__main__":
    main()
