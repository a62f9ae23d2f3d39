"""The reference: raw ASGI, a pool, one prepared statement a request, JSON made by PostgreSQL, a key that is known.

It asks nobody's leave, validates nothing, keeps no audit trail, counts no requests, and sees past row-level security.
How many threads there are it sums up from the hub's counters: exact while others write, as the hub's answer is.
Served by granian as the hub is; started by serving.py.
"""

import json
import os
from typing import Any
from urllib.parse import parse_qs

from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool

from tests.bench.million import seed
from threadhub.lib import ids

POOL_SIZE = 8
MESSAGE = """jsonb_build_object('id', id, 'thread_id', thread_id, 'role', role, 'content', content,
    'title', title, 'tool_calls', tool_calls, 'created_at', created_at, 'updated_at', updated_at, 'position', position,
    'name', name, 'run_id', run_id, 'extra', extra)"""
COLUMNS = (
    "id, agent_id, user_id, external_ref, title, created_at, updated_at, metadata, state, message_count,"
    " last_activity_at, pinned"
)
CREATE = f"""
INSERT INTO threads_thread (id, workspace_id, agent_id, user_id, title, metadata, state, origin, message_count,
                            last_position)
SELECT uuidv7(), workspace_id, id, %(user)s, %(title)s, %(metadata)s, 'active', 'direct', 0, 0
  FROM agents_agent WHERE id = %(agent)s
RETURNING (SELECT row_to_json(shown)::text FROM (SELECT {COLUMNS}) AS shown)
"""
APPEND = """
WITH taken AS (
    UPDATE threads_thread SET last_position = last_position + 1, message_count = message_count + 1,
           last_activity_at = statement_timestamp(), updated_at = statement_timestamp()
     WHERE id = %(thread)s AND workspace_id = %(workspace)s RETURNING id, workspace_id, last_position
)
INSERT INTO threads_message (id, workspace_id, thread_id, position, role, kind, content, extra, partial)
SELECT uuidv7(), workspace_id, id, last_position, %(role)s, 'text', %(content)s, '{}', false FROM taken
RETURNING json_build_object('id', id, 'thread_id', thread_id, 'position', position, 'content', content,
                            'created_at', created_at)::text
"""
READ = f"""
SELECT row_to_json(whole)::text FROM (
    SELECT {COLUMNS},
           array_to_json(array(
               SELECT row_to_json(shown) FROM (
                   SELECT id, thread_id, role, content, title, tool_calls, tool_call_id, tool_result, created_at,
                          updated_at, position, name, partial, run_id, usage, extra
                     FROM threads_message AS message
                    WHERE message.thread_id = thread.id AND message.workspace_id = thread.workspace_id
                    ORDER BY position) AS shown)) AS messages
      FROM threads_thread AS thread WHERE id = %(thread)s AND workspace_id = %(workspace)s) AS whole
"""
COUNT = """SELECT coalesce(sum(number), 0) FROM threads_threadcount
             WHERE workspace_id = %(workspace)s AND subject = %(workspace)s AND state IN ('active', 'archived')"""
LIST = f"""
SELECT json_build_object('count', ({COUNT}), 'data', array_to_json(array(
    SELECT row_to_json(shown) FROM (
        SELECT {COLUMNS} FROM threads_thread
         WHERE workspace_id = %(workspace)s AND state IN ('active', 'archived')
         ORDER BY created_at DESC, id DESC OFFSET %(skip)s LIMIT %(take)s) AS shown)))::text
"""
FOUND = f"""
WITH found AS MATERIALIZED (
    SELECT * FROM threads_thread
     WHERE workspace_id = %(workspace)s AND state IN ('active', 'archived') AND metadata @> %(metadata)s::jsonb
)
SELECT json_build_object('count', (SELECT count(*) FROM found), 'data', array_to_json(array(
    SELECT row_to_json(shown) FROM (
        SELECT {COLUMNS} FROM found ORDER BY created_at DESC, id DESC LIMIT %(take)s) AS shown)))::text
"""
_known: dict[bytes, dict[str, Any]] = {}
_pool: AsyncConnectionPool[AsyncConnection[Any]]


async def application(scope: dict[str, Any], receive: Any, send: Any) -> None:
    if scope["type"] == "lifespan":
        await _live(receive, send)
        return
    if scope["path"] == "/health":
        await _answer(send, 200, b"{}")
        return
    key = dict(scope["headers"]).get(b"authorization", b"")
    body = await _body(receive) if scope["method"] == "POST" else b""
    async with _pool.connection() as connection:
        asker = _known.get(key) or await _look_up(connection, key)
        sql, values = _statement(scope["method"], scope["path"], parse_qs(scope["query_string"].decode()), body)
        row = await (await connection.execute(sql, {**asker, **values}, prepare=True)).fetchone()
    await _answer(send, 404 if row is None else 200, b"{}" if row is None else row[0].encode())


def _statement(method: str, path: str, query: dict[str, list[str]], body: bytes) -> tuple[str, dict[str, Any]]:
    parts = path.strip("/").split("/")
    if method == "POST" and parts[0] == "agents":
        sent = json.loads(body)
        return CREATE, {
            "agent": ids.decode("agent", parts[1]),
            "title": sent.get("title"),
            "metadata": json.dumps(sent.get("metadata", {})),
        }
    if method == "POST":
        return APPEND, {"thread": ids.decode("thread", parts[1]), **json.loads(body)}
    if len(parts) == 2:
        return READ, {"thread": ids.decode("thread", parts[1])}
    values = {"skip": int(query.get("skip", ["0"])[0]), "take": int(query["take"][0])}
    if "metadata" in query:
        return FOUND, {**values, "metadata": query["metadata"][0]}
    return LIST, values


async def _look_up(connection: AsyncConnection[Any], key: bytes) -> dict[str, Any]:
    digest = seed.digest_of(key.removeprefix(b"Bearer ").decode())
    found = await connection.execute("SELECT workspace_id, user_id FROM workspaces_apikey WHERE digest = %s", [digest])
    row = await found.fetchone()
    assert row is not None, "an unknown key"
    _known[key] = {"workspace": row[0], "user": row[1]}
    return _known[key]


async def _body(receive: Any) -> bytes:
    whole = b""
    while True:
        message = await receive()
        whole += message.get("body", b"")
        if not message.get("more_body"):
            return whole


async def _answer(send: Any, status: int, body: bytes) -> None:
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def _live(receive: Any, send: Any) -> None:
    global _pool
    await receive()
    _pool = AsyncConnectionPool(
        os.environ["BENCH_CONNINFO"], min_size=POOL_SIZE, max_size=POOL_SIZE, kwargs={"autocommit": True}, open=False
    )
    await _pool.open(wait=True)
    await send({"type": "lifespan.startup.complete"})
    await receive()
    await _pool.close()
    await send({"type": "lifespan.shutdown.complete"})
