"""What the machinery around a run costs: `python -m tests.bench.runs`. Prints Markdown; README.md keeps the figures.

Starts a hub of its own (`manage.py up`, the `echo` provider) in a temporary directory and ends it again.
"""

import asyncio
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import httpx
import psycopg

from tests.faults.wire import STREAM, fetch, opened
from tests.hub import Hub, running
from threadhub import embedded

TIMES = 30
BEFORE = 10  # times that a hub which has just started was asked already: it has prepared its statements then
SHORT, LONG = 50, 20_000
EQUAL_BUDGET = 1_600  # tokens: what the messages of the short thread take
VIEWERS = 200
COPY = """
INSERT INTO threads_message ({columns}) SELECT {values}
  FROM threads_message m, generate_series(3, %(count)s) AS n WHERE m.thread_id = %(thread)s AND m.position = 1
"""


async def first_text(hub: Hub, path: str) -> float:
    """Seconds from asking to the first piece of the answer."""
    port, asked = int(hub.url.rpartition(":")[2]), {"prompt": "/say quick"}
    began = time.perf_counter()
    async with opened(port, "POST", path, token=hub.api_key, body=asked, headers=STREAM) as response:
        took = 0.0
        async for frame in response.frames():
            if b"text_delta" in frame and not took:
                took = time.perf_counter() - began
    return took


def new_thread(hub: Hub, count: int) -> str:
    """A thread with so many messages."""
    made = hub.post(f"/agents/{hub.agent_id}/threads", json={}).json()["id"]
    for word in ("one", "two"):
        hub.post(f"/threads/{made}/messages", json={"role": "user", "content": f"{word} of a hundred characters " * 4})
    where = embedded.connection_settings(hub.data_dir)
    with psycopg.connect(host=where["HOST"], dbname=where["NAME"], user=where["USER"], autocommit=True) as admin:
        names = admin.execute(
            "SELECT column_name FROM information_schema.columns"
            " WHERE table_name = 'threads_message' AND is_generated = 'NEVER'"
        ).fetchall()
        columns = [f'"{name}"' for (name,) in names]
        own = {'"id"': "uuidv7()", '"position"': "n"}
        values = ", ".join(own.get(name, f"m.{name}") for name in columns)
        thread = admin.execute("SELECT id FROM threads_thread ORDER BY created_at DESC LIMIT 1").fetchone()
        found: dict[str, Any] = {"count": count, "thread": thread[0] if thread else None}
        admin.execute(COPY.format(columns=", ".join(columns), values=values), found)  # type: ignore[arg-type]
        admin.execute(
            "UPDATE threads_thread SET message_count = %(count)s, last_position = %(count)s WHERE id = %(thread)s",
            found,
        )
        admin.execute("ANALYZE threads_message")
    return str(made)


async def median_of(hub: Hub, count: int) -> float:
    path = f"/threads/{new_thread(hub, count)}/invoke"
    for _ in range(BEFORE):
        await first_text(hub, path)
    return statistics.median([await first_text(hub, path) for _ in range(TIMES)])


async def opening(hub: Hub, count: int) -> list[float]:
    """Seconds of opening a thread of so many messages at its newest, the first time and then some more."""
    path = f"/threads/{new_thread(hub, count)}/messages?order=desc&take={SHORT}"
    took = []
    for _ in range(TIMES + 1):
        began = time.perf_counter()
        answer = await fetch(int(hub.url.rpartition(":")[2]), "GET", path, token=hub.api_key)
        took.append(time.perf_counter() - began)
        assert answer.status == 200, answer
    return took


async def health(hub: Hub) -> float:
    """Seconds of a request that does nothing, over a new connection like the others."""
    port = int(hub.url.rpartition(":")[2])
    took = []
    for _ in range(TIMES):
        began = time.perf_counter()
        await fetch(port, "GET", "/health", token=hub.api_key)
        took.append(time.perf_counter() - began)
    return statistics.median(took)


async def viewers(hub: Hub, number: int) -> float:
    """Seconds until so many viewers have seen a run of 60 pieces, a tenth of a second apart, to its end."""
    port = int(hub.url.rpartition(":")[2])
    made = hub.post(f"/agents/{hub.agent_id}/threads", json={}).json()["id"]
    asked = {"prompt": "/slow 0.1\n/length 60"}
    async with opened(
        port, "POST", f"/threads/{made}/invoke", token=hub.api_key, body=asked, headers=STREAM
    ) as response:
        began = time.perf_counter()
        await anext(response.frames())
        run = hub.get(f"/threads/{made}/runs").json()["data"][0]["id"]
        path = f"/threads/{made}/runs/{run}/events"
        seen = await asyncio.gather(
            *(fetch(port, "GET", path, token=hub.api_key, headers=STREAM) for _ in range(number))
        )
    assert len({answer.body.replace(b": ping\n\n", b"") for answer in seen}) == 1
    return time.perf_counter() - began


async def measure(hub: Hub) -> None:
    hub.client.timeout = httpx.Timeout(120)
    idle, short, long = await health(hub), await median_of(hub, SHORT), await median_of(hub, LONG)
    newest, newest_of_short = await opening(hub, LONG), await opening(hub, SHORT)
    hub.patch(f"/agents/{hub.agent_id}", json={"context_budget": EQUAL_BUDGET}).raise_for_status()
    short_equal, long_equal = await median_of(hub, SHORT), await median_of(hub, LONG)
    one, many = await viewers(hub, 1), await viewers(hub, VIEWERS)
    print("| figure | value |\n| --- | --- |")
    print(f"| first piece of an answer by `echo`, to a request that does nothing | {short / idle:.1f} |")
    print(f"| what it takes longer, in ms | {(short - idle) * 1000:.1f} |")
    print(f"| first piece in a thread of {LONG:,} messages, to one of {SHORT} | {long / short:.2f} |")
    print(f"| the same, where the budget lets both models read the same amount | {long_equal / short_equal:.2f} |")
    print(f"| opening the newest {SHORT} of {LONG:,} messages, the first time, in ms | {newest[0] * 1000:.1f} |")
    print(f"| the same, median, to a thread of {SHORT} | {ratio(newest[1:], newest_of_short[1:]):.2f} |")
    print(f"| {VIEWERS} viewers of a run to its end, to one viewer | {many / one:.2f} |")


def ratio(one: list[float], other: list[float]) -> float:
    return statistics.median(one) / statistics.median(other)


def main() -> None:
    with tempfile.TemporaryDirectory() as directory:
        home = Path(directory)
        with running(home / "data", logs=home) as hub:
            asyncio.run(measure(hub))


if __name__ == "__main__":
    main()
