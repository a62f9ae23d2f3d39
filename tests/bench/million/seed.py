"""Rows in bulk: four workspaces, one with seven tenths of everything."""

import json
import random
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg

from tests.bench.million.serving import Database
from threadhub.lib import ids, secrets

MESSAGES_PER_THREAD = 20
METADATA_VALUES = 5_000
SHARES = {"large": 0.7, "north": 0.1, "south": 0.1, "west": 0.1}
AGENTS, USERS = 3, 200
SAMPLE = 2_000
KEPT = "bench-world.json"
NO_LIMIT = 1_000_000_000
DAYS_AT_ONCE = 2  # 17,280 threads

# An id of version 7 from the time and chance, so that rows come into the indexes as they do in life.
UUID7 = (
    "(lpad(to_hex((extract(epoch FROM {moment}) * 1000)::bigint), 12, '0') || '7' || substr(md5(random()::text), 1, 3)"
    " || '8' || substr(md5(random()::text), 1, 15))::uuid"
)
# Oldest first, one every ten seconds; four fifths have a user, a twentieth is archived, a hundredth in the trash.
THREADS = f"""
INSERT INTO threads_thread (id, workspace_id, agent_id, user_id, external_ref, title, metadata, state, origin,
                            message_count, last_position, created_at, updated_at, last_activity_at, archived_at,
                            trashed_at, purge_after)
SELECT {UUID7.format(moment="moment")}, %(workspace)s, (%(agents)s::uuid[])[1 + n %% %(agent_count)s],
       CASE WHEN n %% 5 > 0 THEN (%(users)s::uuid[])[1 + n %% %(user_count)s] END, 'customer-' || n %% 50000,
       'Conversation number ' || n, jsonb_build_object('k', n %% {METADATA_VALUES}, 'plan', 'gold'), state, 'direct',
       messages, messages, moment, moment, moment,
       CASE WHEN state = 'archived' THEN moment END, CASE WHEN state = 'trashed' THEN moment END,
       CASE WHEN state = 'trashed' THEN now() + interval '30 days' END
  FROM (SELECT n, now() - (%(count)s - n) * interval '10 seconds' AS moment,
               CASE WHEN n %% 20 = 7 THEN 'archived' WHEN n %% 100 = 11 THEN 'trashed' ELSE 'active' END AS state,
               CASE WHEN n %% 5 = 0 THEN 50 WHEN n %% 2 = 0 THEN 12 ELSE 13 END AS messages
          FROM generate_series(1, %(count)s) AS n) AS planned
"""
# With words that one message in ten, a hundred, a thousand and ten thousand has, and one that nobody says any more.
MESSAGES = f"""
INSERT INTO threads_message (id, workspace_id, thread_id, position, role, kind, content, extra, partial, created_at,
                             updated_at)
SELECT {UUID7.format(moment="created_at")}, workspace_id, thread.id, n,
       CASE WHEN n %% 2 = 1 THEN 'user' ELSE 'assistant' END, 'text',
       concat_ws(' ', 'What was said at', n, 'of', title || repeat(' so much of it and more', 20),
                 CASE WHEN random() < 0.1 THEN 'often' END, CASE WHEN random() < 0.01 THEN 'sometimes' END,
                 CASE WHEN random() < 0.001 THEN 'rarely' END, CASE WHEN random() < 0.0001 THEN 'hardly' END,
                 CASE WHEN random() < 0.1 AND created_at < now() - interval '10 days' THEN 'formerly' END),
       '{{}}', false, created_at, created_at
  FROM threads_thread AS thread, generate_series(1, message_count) AS n
 WHERE workspace_id = %(workspace)s AND created_at >= %(first)s AND created_at < %(last)s
"""
SIZES = """
SELECT relname, reltuples::bigint, pg_table_size(oid) / 1048576, pg_indexes_size(oid) / 1048576 FROM pg_class
 WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace AND pg_total_relation_size(oid) > 1048576
 ORDER BY pg_total_relation_size(oid) DESC LIMIT 6
"""


@dataclass(frozen=True, slots=True)
class World:
    """The large workspace, as its server knows it: ids as on the wire."""

    threads: int
    key: str
    agent: str
    large_threads: int
    some_threads: list[str]
    threads_of_50: list[str]


def digest_of(key: str) -> bytes:
    return secrets.digest(key)


def fill(database: Database, *, threads: int) -> World:
    """Workspaces, agents, users, threads and messages; statistics and visibility maps as after a night's vacuum."""
    worlds = {name: _workspace(name) for name in SHARES}
    with psycopg.connect(database.conninfo, autocommit=True) as connection:
        for name, share in SHARES.items():
            _fill_threads(connection, worlds[name], int(threads * share))
        _fill_messages(connection, worlds)
        connection.execute("VACUUM (ANALYZE) threads_thread, threads_message")
        large = worlds["large"]
        return World(
            threads=threads,
            key=large["key"],
            agent=ids.encode("agent", large["agents"][0]),
            large_threads=int(threads * SHARES["large"]),
            some_threads=_sample(connection, large, "message_count < 50"),
            threads_of_50=_sample(connection, large, "message_count = 50"),
        )


def kept(home: Path) -> World | None:
    """What an earlier run seeded there."""
    file = home / KEPT
    return World(**json.loads(file.read_text())) if file.exists() else None


def keep(home: Path, world: World) -> None:
    (home / KEPT).write_text(json.dumps(asdict(world)))


def sizes(database: Database) -> list[dict[str, Any]]:
    with psycopg.connect(database.conninfo, autocommit=True) as connection:
        rows = connection.execute(SIZES).fetchall()
    return [{"name": row[0], "rows": row[1], "table_mb": int(row[2]), "indexes_mb": int(row[3])} for row in rows]


def _workspace(name: str) -> dict[str, Any]:
    from threadhub.agents.models import Agent
    from threadhub.isolation import scope
    from threadhub.workspaces import keys
    from threadhub.workspaces.models import User, Workspace

    with scope.as_owner():
        workspace = Workspace.objects.create(name=name)
        agents = [Agent.objects.create(workspace=workspace, name=f"{name} {n}", provider="echo") for n in range(AGENTS)]
        users = User.objects.bulk_create([User(username=f"{name} {n}", password="!") for n in range(USERS)])
        _, key = keys.create(workspace=workspace, user=users[0], name="bench")
        keys.ApiKey.objects.filter(workspace=workspace).update(rate_limit=NO_LIMIT)
    return {
        "workspace": workspace.pk,
        "agents": [each.pk for each in agents],
        "users": [each.pk for each in users],
        "agent_count": AGENTS,
        "user_count": USERS,
        "key": key,
    }


def _fill_threads(connection: psycopg.Connection[Any], world: dict[str, Any], count: int) -> None:
    connection.execute(THREADS, {**world, "count": count})


def _fill_messages(connection: psycopg.Connection[Any], worlds: dict[str, dict[str, Any]]) -> None:
    """Without the checks of references, which are known to be good, and with the index of words last."""
    connection.execute("SET session_replication_role = replica")
    (index,) = connection.execute("SELECT pg_get_indexdef('message_text'::regclass)").fetchone() or ("",)
    connection.execute("DROP INDEX message_text")
    for world in worlds.values():
        for first, last in _pieces(connection, world):
            connection.execute(MESSAGES, {"workspace": world["workspace"], "first": first, "last": last})
    connection.execute("SET maintenance_work_mem = '3GB'")
    connection.execute(index)
    connection.execute("RESET session_replication_role")


def _pieces(connection: psycopg.Connection[Any], world: dict[str, Any]) -> list[tuple[Any, Any]]:
    """Spans of creation, so that messages come in transactions of some hundred thousand rows."""
    found = connection.execute(
        "SELECT min(created_at), date_trunc('day', created_at) FROM threads_thread WHERE workspace_id = %(workspace)s"
        " GROUP BY 2 ORDER BY 2",
        world,
    ).fetchall()
    starts = [day for _, day in found][::DAYS_AT_ONCE]
    return list(zip(starts, [*starts[1:], "infinity"], strict=True))


def _sample(connection: psycopg.Connection[Any], world: dict[str, Any], condition: str) -> list[str]:
    rows: list[tuple[UUID]] = connection.execute(
        f"SELECT id FROM threads_thread WHERE workspace_id = %(workspace)s AND state = 'active' AND {condition}"
        f" ORDER BY md5(id::text) LIMIT {SAMPLE}",
        world,
    ).fetchall()
    found = [ids.encode("thread", row[0]) for row in rows]
    random.Random(1).shuffle(found)
    return found
