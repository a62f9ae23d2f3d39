"""What archiving, restoring and purging cost: `python -m tests.bench.lifecycle [--quick]`. Prints Markdown and JSON.

Starts a hub of its own (`manage.py up`) in a temporary directory, fills its database, and runs the product's own
commands as an administrator would, each in a process of its own: `archive_threads` and `restore_threads` for many
threads and for one huge one, then `purge_trash` while readers fetch threads over HTTP, and as many threads removed by
nothing but the statements that remove them, which is PostgreSQL by itself. Both also while bare (`million/bare.py`) is
read, since that is what any server notices of it; it runs beside all of them. Between two of them the tables are
vacuumed, as a row of its own, so that autovacuum, which may come minutes later, does not fall into the next one.

Rates and CPU are without the start of the command, which is that of the same command with nothing to do. CPU is that of
the command's process and of PostgreSQL (all of the server: its own upkeep and the hub's questions too). Memory is the
largest resident set of the command's process.
"""

import argparse
import json
import os
import platform
import random
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from copy import copy
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

import psycopg

from tests.bench import load, processors
from tests.bench.million import serving
from tests.hub import ROOT, Hub, clean_environment, running
from threadhub.lib import ids

VOCABULARY, TEXTS = 5_000, 20_000
EACH = 17  # messages of a thread that is purged
READERS, PAUSE = 4, 0.02  # seconds between two requests of one reader
IDLE_SECONDS = 20.0
# As the product makes ids: UUIDv7, in the order of their making.
ID = """
CREATE FUNCTION bench_id(made timestamptz) RETURNS uuid LANGUAGE sql VOLATILE RETURN uuidv7(made - clock_timestamp())
"""
THREADS = """
INSERT INTO threads_thread
       (id, workspace_id, agent_id, title, metadata, state, origin, message_count, last_position, created_at,
        updated_at, last_activity_at, trashed_at, purge_after)
SELECT bench_id(made), %(workspace)s, %(agent)s, 'number ' || n, jsonb_build_object('k', n %% 5000),
       %(state)s::text, 'direct', %(each)s, %(each)s, made, made, made,
       CASE WHEN %(state)s::text = 'trashed' THEN made END,
       CASE WHEN %(state)s::text = 'trashed' THEN made + interval '1 day' END
  FROM (SELECT n, now() - interval '200 days' + n * interval '1 second' AS made
          FROM generate_series(1, %(threads)s) AS n) AS numbered
"""
# Every second message is an answer with its usage; every tenth belongs to a run, every tenth has keys of its own.
MESSAGES = """
INSERT INTO threads_message (id, workspace_id, thread_id, position, role, kind, content, extra, run_id, usage, partial,
       created_at, updated_at)
SELECT bench_id(thread.created_at + n * interval '1 millisecond'), thread.workspace_id, thread.id, n,
       CASE WHEN n %% 2 = 0 THEN 'assistant' ELSE 'user' END, 'text', text.content,
       CASE WHEN n %% 10 = 1 THEN '{"client": {"page": 3, "beta": true}}'::jsonb ELSE '{}' END,
       CASE WHEN n %% 10 = 0 THEN gen_random_uuid() END,
       CASE WHEN n %% 2 = 0 THEN jsonb_build_object('input_tokens', n, 'output_tokens', 80, 'cached_tokens', 0,
                                                   'cost', '0.00012', 'estimated', false) END,
       false, thread.created_at + n * interval '1 millisecond', thread.created_at
  FROM (SELECT thread.id, thread.workspace_id, thread.created_at, n, floor(random() * %(texts)s)::int AS pick
          FROM threads_thread AS thread, generate_series(1, %(each)s) AS n
         WHERE thread.agent_id = %(agent)s) AS thread
  JOIN bench_text AS text ON text.number = pick
"""
RUNS = """
INSERT INTO threads_run (id, workspace_id, thread_id, agent_id, number, status, answer_id, options, ignored_tools,
       refused_tools, replay, waiting, attempt, provider, model, error_code, error_message, finish_reason, unpriced,
       estimated, last_seq, finished_at)
SELECT run_id, workspace_id, thread_id, %(agent)s, position, 'succeeded', id, '{}', '[]', '[]',
       '[[1, "message_start", {}], [2, "message_stored", {"role": "assistant"}]]', false, 1, 'echo', 'echo', '', '',
       'stop', 0, 0, 2, created_at
  FROM threads_message
 WHERE run_id IS NOT NULL AND thread_id IN (SELECT id FROM threads_thread WHERE agent_id = %(agent)s)
"""


@dataclass(frozen=True, slots=True)
class Cost:
    """Of one command: seconds of the clock and of processors, bytes of memory."""

    seconds: float
    cpu: float
    postgres_cpu: float
    memory: int

    def without(self, start: "Cost") -> "Cost":
        """What it cost beyond its start."""
        return replace(self, seconds=self.seconds - start.seconds, cpu=self.cpu - start.cpu)

    def row(self, name: str, count: int, noun: str) -> str:
        return (
            f"| {name} | {count / self.seconds:,.0f} {noun}/s | {self.cpu / count * 1e6:.1f} |"
            f" {self.postgres_cpu / count * 1e6:.1f} | {self.memory / 1e6:.0f} MB |"
        )

    def as_json(self, count: int) -> dict[str, float]:
        return {
            "count": count,
            "seconds": round(self.seconds, 2),
            "per_second": round(count / self.seconds),
            "cpu_us": round(self.cpu / count * 1e6, 1),
            "postgres_cpu_us": round(self.postgres_cpu / count * 1e6, 1),
            "memory_mb": round(self.memory / 1e6),
        }


def connect(hub: Hub) -> Any:
    admin = psycopg.connect(serving.running(hub.data_dir).conninfo, autocommit=True)
    admin.execute("SELECT set_config('threadhub.door', 'migration', false)")  # the owner sees all rows
    return admin


def fill_texts(admin: Any) -> None:
    """Texts of words of very different frequency: half a hundred to a thousand characters."""
    dice = random.Random(5)
    letters = "abcdefghijklmnopqrstuvwxyz"
    words = ["".join(dice.choices(letters, k=dice.randint(2, 11))) for _ in range(VOCABULARY)]
    weights = [1 / rank for rank in range(1, VOCABULARY + 1)]
    admin.execute(ID)
    admin.execute("CREATE UNLOGGED TABLE bench_text (number int PRIMARY KEY, content text NOT NULL)")
    with admin.cursor() as cursor, cursor.copy("COPY bench_text FROM STDIN") as copy:
        for number in range(TEXTS):
            copy.write_row((number, " ".join(dice.choices(words, weights, k=dice.randint(8, 150)))))
    admin.execute("ANALYZE bench_text")


def fill(hub: Hub, admin: Any, *, threads: int, each: int, state: str = "active") -> str:
    """An agent with so many threads of so many messages; its wire id."""
    agent: str = hub.post("/agents", json={"name": f"bench {threads} {each} {state}"}).raise_for_status().json()["id"]
    values = {
        "workspace": uuid(hub.workspace_id), "agent": uuid(agent), "threads": threads, "each": each, "state": state,
        "texts": TEXTS,
    }  # fmt: skip
    with admin.transaction():
        admin.execute("SET LOCAL session_replication_role = replica")  # keys hold by making: not looked up row by row
        admin.execute("SET LOCAL maintenance_work_mem = '512MB'")
        (words,) = admin.execute("SELECT pg_get_indexdef('message_text'::regclass)").fetchone()
        admin.execute("DROP INDEX message_text")  # built at once it takes a fifth of what it takes word by word
        for statement in (THREADS, MESSAGES, RUNS):
            admin.execute(statement, values)
            admin.execute("ANALYZE threads_thread, threads_message")  # the next is planned by what is there now
        admin.execute(words)
    admin.execute("VACUUM (ANALYZE) threads_thread, threads_message, threads_run")
    admin.execute("CHECKPOINT")
    return agent


def uuid(wire_id: str) -> UUID:
    return ids.decode(wire_id.rpartition("_")[0], wire_id)


def command(hub: Hub, *words: str) -> Cost:
    """Run a command of the product to its end. Raises CalledProcessError."""
    argv = [sys.executable, "manage.py", *words, "--yes", "--json", "--data-dir", str(hub.data_dir)]
    before, began = processors.postgres(hub), time.perf_counter()
    process = subprocess.Popen(argv, cwd=ROOT, env=clean_environment(), stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    took = time.perf_counter() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, argv)
    return Cost(took, used.ru_utime + used.ru_stime, processors.postgres(hub) - before, used.ru_maxrss * 1024)


def vacuum(hub: Hub, admin: Any, count: int) -> dict[str, float]:
    """Clean up the tables, which autovacuum would do somewhere in the next command; what that cost the database."""
    before, began = processors.postgres(hub), time.perf_counter()
    admin.execute("VACUUM (ANALYZE) threads_thread, threads_message, threads_run")
    took, cpu = time.perf_counter() - began, processors.postgres(hub) - before
    print(f"| vacuum | {count / took:,.0f} messages/s | | {cpu / count * 1e6:.1f} | |", flush=True)
    return {"seconds": round(took, 2), "postgres_cpu_us": round(cpu / count * 1e6, 1)}


def search_follows(hub: Hub, admin: Any, count: int) -> dict[str, float]:
    """Wait until the worker has made all restored messages searchable; what that cost the database."""
    before, began = processors.postgres(hub), time.perf_counter()
    while admin.execute("SELECT EXISTS (SELECT FROM threads_message WHERE NOT searchable)").fetchone()[0]:
        time.sleep(0.2)
    took, cpu = time.perf_counter() - began, processors.postgres(hub) - before
    print(f"| search follows | {count / took:,.0f} messages/s | | {cpu / count * 1e6:.1f} | |", flush=True)
    return {
        "seconds": round(took, 2),
        "per_second": round(count / took),
        "postgres_cpu_us": round(cpu / count * 1e6, 1),
    }


class Readers:
    """Clients that fetch threads of fifty messages, each one after the other; as light as the bench's others."""

    def __init__(self, hub: Hub, agent: str) -> None:
        listed = hub.get(f"/agents/{agent}/threads", params={"take": 50}).raise_for_status().json()["data"]
        self.hub, self.threads = hub, [thread["id"] for thread in listed]
        self.port = urlsplit(hub.url).port or 0

    def at(self, port: int) -> "Readers":
        """The same of another server."""
        others = copy(self)
        others.port = port
        return others

    def during(self, until: threading.Event) -> list[float]:
        """Seconds of each request until the event."""
        return load.ask(self.port, self._asked(), connections=READERS, going=lambda: not until.is_set(), pause=PAUSE)

    def _asked(self) -> Iterator[bytes]:
        dice = random.Random(0)
        while True:
            yield (
                f"GET /threads/{dice.choice(self.threads)} HTTP/1.1\r\nHost: 127.0.0.1\r\n"
                f"Authorization: Bearer {self.hub.api_key}\r\n\r\n"
            ).encode()


def percentiles(seconds: list[float]) -> dict[int, float]:
    """Milliseconds of the median, the 95th and the 99th."""
    cuts = statistics.quantiles(seconds, n=100)
    return {percent: round(cuts[percent - 1] * 1e3, 1) for percent in (50, 95, 99)}


DELETIONS = (
    "DELETE FROM threads_message WHERE workspace_id = %(workspace)s AND thread_id = ANY(%(ids)s)",
    "DELETE FROM threads_run WHERE workspace_id = %(workspace)s AND thread_id = ANY(%(ids)s)",
    "DELETE FROM threads_thread WHERE workspace_id = %(workspace)s AND id = ANY(%(ids)s)",
)
NEXT = """
SELECT id FROM threads_thread WHERE workspace_id = %(workspace)s AND agent_id = %(agent)s AND state = 'trashed'
 ORDER BY created_at, id LIMIT 500 FOR UPDATE SKIP LOCKED
"""


def by_product(hub: Hub, agent: str, *options: str) -> Cost:
    return command(hub, "purge_trash", "--agent", agent, *options)


def by_statements(hub: Hub, agent: str) -> Cost:
    """No policy, no hold, no tombstone, no audit; one batch after the other without a pause."""
    before, began, cpu = processors.postgres(hub), time.perf_counter(), time.thread_time()
    values: dict[str, Any] = {"workspace": uuid(hub.workspace_id), "agent": uuid(agent)}
    with connect(hub) as connection:
        while True:
            with connection.transaction():
                values["ids"] = [row[0] for row in connection.execute(NEXT, values)]
                for statement in DELETIONS if values["ids"] else ():
                    connection.execute(statement, values)
            if not values["ids"]:
                return Cost(
                    time.perf_counter() - began, time.thread_time() - cpu, processors.postgres(hub) - before, memory=0
                )


def purge(
    hub: Hub, readers: Readers, way: Callable[[], Cost], idle_seconds: float
) -> tuple[Cost, list[float], list[float]]:
    """Purge in some way while readers read; what it cost, and their times before and meanwhile."""
    idle_over, over = threading.Event(), threading.Event()
    readers.during(_after(1.0, threading.Event()))  # warms up
    idle = readers.during(_after(idle_seconds, idle_over))
    costs: list[Cost] = []

    def work() -> None:
        try:
            costs.append(way())
        finally:
            over.set()

    worker = threading.Thread(target=work)
    worker.start()
    meanwhile = readers.during(over)
    worker.join()
    return costs[0], idle, meanwhile


def purges(
    hub: Hub, admin: Any, readers: Readers, of_bare: Readers, start: Cost, figures: dict[str, Any], threads: int,
    idle_seconds: float,
) -> None:  # fmt: skip
    """By the product as it does it unless told otherwise, by one batch at a time, and by statements alone; also while
    bare is read, which is the least that any server would notice of it."""
    ways: dict[str, tuple[Readers, Callable[[str], Cost]]] = {
        "purge": (readers, lambda agent: by_product(hub, agent).without(start)),
        "purge, bare is read": (of_bare, lambda agent: by_product(hub, agent).without(start)),
        "purge, one at a time": (readers, lambda agent: by_product(hub, agent, "--parallel", "1").without(start)),
        "plain statements": (readers, lambda agent: by_statements(hub, agent)),
        "plain statements, bare is read": (of_bare, lambda agent: by_statements(hub, agent)),
    }
    for name, (reading, way) in ways.items():
        doomed = fill(hub, admin, threads=threads, each=EACH, state="trashed")
        cost, idle, meanwhile = purge(hub, reading, partial(way, doomed), idle_seconds)
        print(cost.row(f"{name}, {threads:,} threads of {EACH} messages", threads, "threads"), flush=True)
        before, during = percentiles(idle), percentiles(meanwhile)
        figures[name] = cost.as_json(threads) | {"idle_ms": before, "meanwhile_ms": during, "requests": len(meanwhile)}
        said = [f"p{percent} {during[percent]} ({before[percent]})" for percent in before]
        print(f"| readers meanwhile, ms (before it) | {', '.join(said)} | | | |", flush=True)
        figures[f"vacuum_{name}"] = vacuum(hub, admin, threads * EACH)


def _after(seconds: float, event: threading.Event) -> threading.Event:
    threading.Timer(seconds, event.set).start()
    return event


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a twentieth of everything")
    parser.add_argument("--only", choices=["many", "one", "purge"], help="one part of it")
    wanted = parser.parse_args()
    small = 20 if wanted.quick else 1
    figures: dict[str, Any] = {"at": datetime.now(UTC).isoformat(timespec="seconds"), "load": os.getloadavg()}
    print(f"{platform.machine()}, {os.cpu_count()} processors, load {figures['load'][0]:.1f} at the start")
    print("| what | rate | CPU of the command, µs each | of PostgreSQL | memory |\n| --- | --- | --- | --- | --- |")
    with tempfile.TemporaryDirectory(prefix="threadhub-bench-") as directory, running(
        Path(directory) / "data", logs=Path(directory)
    ) as hub, connect(hub) as admin:  # fmt: skip
        fill_texts(admin)
        start = command(hub, "archive_threads", "--workspace", hub.workspace_id, "--older-than", "9999d")
        figures["start"] = {"seconds": round(start.seconds, 2), "cpu": round(start.cpu, 2)}
        for name, threads, each in (("many", 20_000 // small, 50), ("one", 1, 1_000_000 // small)):
            if wanted.only not in (None, name):
                continue
            agent = fill(hub, admin, threads=threads, each=each)
            for verb in ("archive", "restore"):
                cost = command(hub, f"{verb}_threads", "--agent", agent).without(start)
                figures[f"{verb}_{name}"] = cost.as_json(threads * each)
                title = f"{verb}, {threads:,} threads of {each:,} messages"
                print(cost.row(title, threads * each, "messages"), flush=True)
                if verb == "restore":
                    figures[f"search_{name}"] = search_follows(hub, admin, threads * each)
                figures[f"vacuum_{verb}_{name}"] = vacuum(hub, admin, threads * each)
                admin.execute("CHECKPOINT")
        if wanted.only in (None, "purge"):
            readers = Readers(hub, fill(hub, admin, threads=200, each=50))
            with serving.bare(serving.running(hub.data_dir), workers=1) as bare:
                of_bare, seconds = readers.at(bare.port), IDLE_SECONDS / small**0.5
                purges(hub, admin, readers, of_bare, start, figures, 100_000 // small, seconds)
    print(f"\nStart of a command: {start.seconds:.1f} s, {start.cpu:.1f} s of processor time.")
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
