"""What open streams cost others: `python -m tests.bench.streams [--quick]`. Prints Markdown for README.md.

Starts a hub of its own (`manage.py up`, one web process, a pool of 16 connections, the `echo` provider), opens readers
of runs that go on, and asks it small things meanwhile. An event's delay is the time from its transaction to its frame.
What a hundred streams cost the web process is held against raw ASGI (`bare_streams.py`), which invents its words, and
against raw ASGI that has them from PostgreSQL, as the hub does.
"""

import argparse
import asyncio
import contextlib
import multiprocessing
import statistics
import tempfile
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import psycopg

from tests.bench import processors
from tests.bench.million import serving
from tests.bench.processors import Roles
from tests.faults.wire import STREAM, fetch, opened
from tests.hub import Hub, running
from threadhub.lib import ids

POOL = 16
READERS, RUNS = 1_000, 50
PAUSE, WORDS = 0.5, 7_000  # of each of these runs: seconds before a word; words, more than anybody waits for
QUESTION = f"/slow {PAUSE}\n/length {WORDS}"
LISTED = 20
TOKENS_PAUSE, TOKENS, TOKEN_RUNS, ROUNDS = 0.05, 200, 100, 3
ASKING_SECONDS = 10.0
SETTLING_SECONDS = 3.0
ENVIRONMENT = {
    "DATABASE_POOL_SIZE": str(POOL),
    "WORKER_CONCURRENCY": str(TOKEN_RUNS),
    **dict.fromkeys(("RATE_LIMIT_KEY", "RATE_LIMIT_ADDRESS"), "0"),
}


@dataclass(slots=True)
class Seen:
    """Frames of all readers: of which run, which number, when (Unix time)."""

    frames: list[tuple[str, int, float]] = field(default_factory=list)
    begun: int = 0
    ended: int = 0


async def begin(hub: Hub, prompt: str) -> tuple[str, str]:
    """Thread and run of a question whose reader has left already."""
    port = int(hub.url.rpartition(":")[2])
    thread = hub.post(f"/agents/{hub.agent_id}/threads", json={}).json()["id"]
    async with opened(
        port, "POST", f"/threads/{thread}/invoke", token=hub.api_key, body={"prompt": prompt}, headers=STREAM
    ) as response:
        await anext(response.frames())
    return thread, hub.get(f"/threads/{thread}/runs").json()["data"][0]["id"]


async def read(hub: Hub, thread: str, run: str, seen: Seen) -> None:
    port, path = int(hub.url.rpartition(":")[2]), f"/threads/{thread}/runs/{run}/events"
    async with opened(port, "GET", path, token=hub.api_key, headers=STREAM) as response:
        seen.begun += 1
        async for frame in response.frames():
            number = int(frame.split(b"\n", 1)[0].removeprefix(b"id: "))
            seen.frames.append((run, number, time.time()))
            seen.ended += b"message_stop" in frame


async def small_requests(hub: Hub, seconds: float) -> list[float]:
    """Seconds that each of the list's newest twenty took, one after the other, asked by a process of its own: in this
    one an answer would wait until the frames of all readers are taken."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as apart:
        port = int(hub.url.rpartition(":")[2])
        return await asyncio.get_running_loop().run_in_executor(apart, ask, port, hub.api_key, seconds)


def ask(port: int, key: str, seconds: float) -> list[float]:
    return asyncio.run(_asked(port, key, seconds))


async def _asked(port: int, key: str, seconds: float) -> list[float]:
    took = []
    until = time.perf_counter() + seconds
    while time.perf_counter() < until:
        began = time.perf_counter()
        answer = await fetch(port, "GET", f"/threads?take={LISTED}", token=key)
        assert answer.status == 200, answer
        took.append(time.perf_counter() - began)
        await asyncio.sleep(0.02)
    return took


def stored_at(hub: Hub) -> dict[tuple[str, int], float]:
    """When each event of each run was stored (Unix time)."""
    with psycopg.connect(serving.running(hub.data_dir).conninfo) as admin:
        rows = admin.execute("SELECT run_id, seq, extract(epoch FROM created_at)::float8 FROM threads_runevent")
        return {(ids.encode("run", run), seq): at for run, seq, at in rows}


async def many_readers(hub: Hub, scale: int) -> None:
    readers, runs, seen = READERS // scale, RUNS // scale, Seen()
    for _ in range(LISTED):  # the same list later: these runs' threads have one message as well
        made = hub.post(f"/agents/{hub.agent_id}/threads", json={}).json()["id"]
        hub.post(f"/threads/{made}/messages", json={"role": "user", "content": QUESTION}).raise_for_status()
    idle = await small_requests(hub, ASKING_SECONDS)
    begun = [await begin(hub, QUESTION) for _ in range(runs)]
    began = time.perf_counter()
    async with asyncio.TaskGroup() as all_of_them:
        for number in range(readers):
            all_of_them.create_task(read(hub, *begun[number % runs], seen))
        while seen.begun < readers:
            await asyncio.sleep(0.05)
        opening = time.perf_counter() - began
        await asyncio.sleep(SETTLING_SECONDS)
        steady = time.time()
        busy = await small_requests(hub, ASKING_SECONDS)
        until = time.time() - 1.0  # what is on its way when the runs end is not waited for
        for thread, run in begun:
            hub.post(f"/threads/{thread}/runs/{run}/cancel", json={}).raise_for_status()
    stored = stored_at(hub)
    delays = [at - stored[run, seq] for run, seq, at in seen.frames if steady < stored[run, seq] < until]
    print(f"| readers of {runs} runs, opened in s, that saw the end | {opening:.1f}, {seen.ended} of {readers} |")
    print(f"| an event's delay with them, p50 and p95, ms | {ms(delays, 50)}, {ms(delays, 95)} |")
    print(f"| a list meanwhile, p95, to the same without readers | {percentile(busy, 95) / percentile(idle, 95):.2f} |")
    print(f"| the same in ms | {ms(busy, 95)} to {ms(idle, 95)} |")


async def many_runs(hub: Hub, scale: int) -> None:
    """Runs that speak twenty tokens a second, all at once, each with a reader; some times over."""
    port, number = int(hub.url.rpartition(":")[2]), TOKEN_RUNS // scale
    body = {"prompt": f"/slow {TOKENS_PAUSE}\n/length {TOKENS}"}

    async def one(thread: str) -> float:
        first = 0.0
        async with opened(
            port, "POST", f"/threads/{thread}/invoke", token=hub.api_key, body=body, headers=STREAM
        ) as response:
            async for frame in response.frames():
                first = first or (time.perf_counter() if b"text_delta" in frame else 0.0)
            return time.perf_counter() - first

    ideal, roles, rounds = TOKENS_PAUSE * (TOKENS - 1), Roles(hub), list[list[float]]()
    used = Counter[str]()
    for _ in range(ROUNDS):
        threads = [hub.post(f"/agents/{hub.agent_id}/threads", json={}).json()["id"] for _ in range(number)]
        before = roles.cpu()
        rounds.append(sorted(took / ideal for took in await asyncio.gather(*map(one, threads))))
        await afterwards(hub)
        used.update({role: after - before[role] for role, after in roles.cpu().items()})
    cpu = {role: seconds / number / ROUNDS * 1000 for role, seconds in used.items()}
    slowest, median = (", ".join(f"{each[at]:.3f}" for each in rounds) for at in (-1, number // 2))
    print(f"| {number} runs at {1 / TOKENS_PAUSE:.0f} tokens a second, the slowest, to the ideal time | {slowest} |")
    print(f"| the same, median | {median} |")
    bare = await bare_streams(hub.data_dir, number)
    print(f"| CPU of the web process per stream, to that of bare | {cpu['web'] / bare:.2f} |")
    print(f"| the same in ms, with the run's start | {cpu['web']:.0f} to {bare:.0f} |")
    print(f"| CPU of the worker and of PostgreSQL per run, ms | {cpu['worker']:.0f}, {cpu['postgres']:.0f} |")


async def afterwards(hub: Hub) -> None:
    """Until all titles are made that the answers want."""
    with psycopg.connect(serving.running(hub.data_dir).conninfo, autocommit=True) as admin:
        while admin.execute("SELECT FROM procrastinate_jobs WHERE queue_name = 'afterwards' LIMIT 1").fetchone():
            await asyncio.sleep(0.1)


async def only_read(hub: Hub, scale: int) -> None:
    """Such runs, of which somebody else has asked, read to their end: from the hub, and from bare by PostgreSQL."""
    number = TOKEN_RUNS // scale
    prompt = f"/slow {TOKENS_PAUSE}\n/length {TOKENS}"
    roles = Roles(hub)
    begun = await asyncio.gather(*(begin(hub, prompt) for _ in range(number)))
    before = roles.cpu()["web"]
    await asyncio.gather(*(read(hub, *each, Seen()) for each in begun))
    by_hub = (roles.cpu()["web"] - before) / number * 1000
    own = {serving.CONNINFO: serving.running(hub.data_dir).conninfo}
    with serving.granian("tests.bench.bare_streams:application", hub.data_dir, 1, own, "/health") as server:
        begun = await asyncio.gather(*(begin(hub, prompt) for _ in range(number)))
        by_bare = await cpu_of_bare(server, [f"/{ids.decode('run', run)}" for _, run in begun])
    print(f"| the same where nothing is asked, to bare out of PostgreSQL | {by_hub / by_bare:.2f} |")
    print(f"| the same in ms | {by_hub:.0f} to {by_bare:.0f} |")


async def bare_streams(home: Path, number: int) -> float:
    """Milliseconds of CPU that raw ASGI takes to send as many frames at the same pace, per stream."""
    own = {"BENCH_FRAMES": f"{TOKENS_PAUSE},{TOKENS}"}
    with serving.granian("tests.bench.bare_streams:application", home, 1, own, "/health") as server:
        return await cpu_of_bare(server, ["/"] * number)


async def cpu_of_bare(server: serving.Server, paths: list[str]) -> float:
    """Milliseconds per stream."""

    async def one(path: str) -> None:
        async with opened(server.port, "GET", path, token="", headers=STREAM) as response:
            seen = [frame async for frame in response.frames()]
        assert b"message_stop" in seen[-1], seen[-1]

    before = sum(processors.of(each.pid) for each in server.web())
    await asyncio.gather(*map(one, paths))
    return (sum(processors.of(each.pid) for each in server.web()) - before) / len(paths) * 1000


def percentile(values: list[float], percent: int) -> float:
    return statistics.quantiles(values, n=100)[percent - 1]


def ms(values: list[float], percent: int) -> str:
    return f"{percentile(values, percent) * 1000:.0f}"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.streams", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a tenth of the readers and runs")
    scale = 10 if parser.parse_args().quick else 1
    with tempfile.TemporaryDirectory() as directory, contextlib.ExitStack() as stack:
        home = Path(directory)
        hub = stack.enter_context(running(home / "data", logs=home, environment=ENVIRONMENT))
        print("| figure | value |\n| --- | --- |")
        asyncio.run(many_readers(hub, scale))
        asyncio.run(many_runs(hub, scale))
        asyncio.run(only_read(hub, scale))


if __name__ == "__main__":
    main()
