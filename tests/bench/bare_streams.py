"""The references for open streams: raw ASGI that sends frames at a pace, and knows nothing of runs; and raw ASGI that
sends a run's events out of PostgreSQL: LISTEN, a pool, one prepared statement whose frames are built in SQL.

Served by granian as the hub is; started by `streams.py`.
"""

import asyncio
import os
from collections import defaultdict
from typing import Any
from uuid import UUID

import psycopg
from psycopg_pool import AsyncConnectionPool

from tests.bench.million.serving import CONNINFO

CHANNEL = "run_events"  # as threads/runs/follow.py, which wants Django
PAUSE, FRAMES = (float(each) for each in os.environ.get("BENCH_FRAMES", "0.05,200").split(","))
HEAD = {"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/event-stream")]}
POOL = 16
NEWS = """
SELECT seq, type, 'id: ' || seq || E'\\nevent: ' || type || E'\\ndata: ' || data || E'\\n\\n'
  FROM threads_runevent WHERE run_id = %s AND seq > %s ORDER BY seq
"""
OWN = {"options": "-c threadhub.door=migration", "autocommit": True}  # sees all rows
waiting: defaultdict[UUID, set[asyncio.Event]] = defaultdict(set)
began: list[Any] = []  # the pool, and the task that listens


async def application(scope: dict[str, Any], receive: Any, send: Any) -> None:
    if scope["type"] != "http":
        await lifespan(receive, send)
        return
    path: str = scope["path"]
    if path == "/health":
        await send({**HEAD, "headers": []})
        await send({"type": "http.response.body", "body": b"ok"})
    elif path == "/":
        await invented(send)
    else:
        await stored(UUID(path.removeprefix("/")), send)


async def lifespan(receive: Any, send: Any) -> None:
    if CONNINFO in os.environ:
        pool = AsyncConnectionPool(os.environ[CONNINFO], max_size=POOL, open=False, kwargs=OWN)
        await pool.open(wait=True)
        began.extend([pool, asyncio.create_task(listen())])
    while (await receive())["type"] == "lifespan.startup":
        await send({"type": "lifespan.startup.complete"})
    await send({"type": "lifespan.shutdown.complete"})


async def invented(send: Any) -> None:
    await send(HEAD)
    clock = asyncio.get_running_loop()
    due = clock.time()
    for number in range(1, int(FRAMES) + 1):
        frame = f'id: {number}\nevent: text_delta\ndata: {{"index":0,"text":"word "}}\n\n'
        await send({"type": "http.response.body", "body": frame.encode(), "more_body": True})
        due += PAUSE
        await asyncio.sleep(max(0.0, due - clock.time()))
    await send({"type": "http.response.body", "body": b"id: 0\nevent: message_stop\ndata: {}\n\n"})


async def stored(run: UUID, send: Any) -> None:
    await send(HEAD)
    news, seq, kind = asyncio.Event(), 0, ""
    waiting[run].add(news)
    while kind != "message_stop":
        news.clear()
        async with began[0].connection() as connection:
            rows = await (await connection.execute(NEWS, [run, seq], prepare=True)).fetchall()
        for number, kind, frame in rows:
            seq, more = number, kind != "message_stop"
            await send({"type": "http.response.body", "body": frame.encode(), "more_body": more})
        if kind != "message_stop":
            await news.wait()
    waiting[run].discard(news)


async def listen() -> None:
    async with await psycopg.AsyncConnection.connect(os.environ[CONNINFO], autocommit=True) as connection:
        await connection.execute(f"LISTEN {CHANNEL}")
        async for notice in connection.notifies():
            for each in notice.payload.split(","):
                for news in waiting.get(UUID(each), ()):
                    news.set()
