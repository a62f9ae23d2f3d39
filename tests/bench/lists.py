"""How long documented lists take at a million threads: all combinations of filters, all orders, first and last page.

    python -m tests.bench.lists DIRECTORY [--rounds 4] [--only search,ai] [--slow 100]

DIRECTORY holds the database that `python -m tests.bench.million --keep DIRECTORY` seeded; a server that runs on it
already is used as it is. A web process is started as README says for production, and asked by one client, one thing
after the other, as the server of the largest workspace. Prints what takes longer than `--slow` milliseconds (median of
`--rounds`), and of each list the 50th and 95th percentile of all that was asked of it.
"""

import argparse
import statistics
import sys
import time
from collections.abc import Iterator
from itertools import chain, combinations, product
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import httpx
import psycopg

from tests.bench.million import seed, serving
from threadhub.lib import ids

MAX_SKIP = 10_000
FAR = 10_000  # a page
WORDS = {"every message": "said", "one thread": "777777", "some": "number 12345", "none": "zzznothing"}
SORTS = ("_id", "created", "updated", "title", "integration", "user", "workspace")
A_USER = "SELECT user_id FROM threads_thread WHERE agent_id = %s AND user_id IS NOT NULL ORDER BY id DESC LIMIT 1"

Query = dict[str, Any]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("home", type=Path)
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--only", default="", help="names of lists with a comma between them")
    parser.add_argument("--slow", type=float, default=100.0)
    wanted = parser.parse_args()
    only = [name for name in wanted.only.split(",") if name]
    with serving.database(wanted.home) as database, serving.hub(wanted.home, workers=1) as hub:
        world = seed.kept(wanted.home)
        assert world is not None, f"nothing was seeded in {wanted.home}"
        headers = {"authorization": f"Bearer {world.key}"}
        with httpx.Client(base_url=f"http://127.0.0.1:{hub.port}", headers=headers, trust_env=False) as client:
            for name, path, queries in lists(world, database):
                if not only or name in only:
                    _measure(client, name, path, queries, wanted)


def _measure(client: httpx.Client, name: str, path: str, queries: Iterator[Query], wanted: argparse.Namespace) -> None:
    everything, slow, asked = [], 0, 0
    for query in queries:
        address = f"{path}?{urlencode(query)}"
        times = [_ask(client, address) for _ in range(wanted.rounds + 1)][1:]
        everything += times
        asked += 1
        if statistics.median(times) > wanted.slow:
            slow += 1
            _say(f"  {statistics.median(times):6.0f} ms {address}")
    at = statistics.quantiles(everything, n=100)
    _say(f"| {name} | {asked} | {at[49]:.0f} | {at[94]:.0f} | {max(everything):.0f} | {slow} |")


def _ask(client: httpx.Client, address: str) -> float:
    began = time.perf_counter()
    response = client.get(address, timeout=60)
    took = (time.perf_counter() - began) * 1000
    assert response.status_code == 200, (address, response.status_code, response.text)
    return took


def lists(world: seed.World, database: serving.Database) -> Iterator[tuple[str, str, Iterator[Query]]]:
    """name, path, what is asked of it."""
    with psycopg.connect(database.conninfo) as connection:
        row = connection.execute(A_USER, [ids.decode("agent", world.agent)]).fetchone()
    assert row is not None
    user = ids.encode("user", row[0])
    day = time.strftime("%Y-%m-%d", time.gmtime(time.time() - 5 * 86_400))
    filters: Query = {
        "userId": user, "externalRef": "customer-12", "date_from": "2020-01-01", "date_to": day, "state": "active",
        "metadata": '{"k": 12}', "title": "number 1234",
    }  # fmt: skip
    threads = {"agentId": world.agent, **filters}
    yield "threads", "/threads", _pages(threads, include_messages="false")
    yield "an agent's threads", f"/agents/{world.agent}/threads", _pages(filters)
    yield "threads with messages", "/threads", iter([{}, {"skip": MAX_SKIP}, {"state": "archived"}, {"userId": user}])
    yield "a date alone", "/threads", _days(day)
    yield "ai", "/api/ai/threads", _sorted({"integration": world.agent, "user": user})
    yield "search", "/search", _searched({"agentId": world.agent, "userId": user})
    yield "messages", f"/threads/{world.threads_of_50[0]}/messages", _messages()
    for path in ("agents", "approvals", "audit_events", "chat_sessions", "end_users", "access_alerts", "holds"):
        yield path, f"/{path}", iter([{}, {"skip": MAX_SKIP}, {"order": "asc"}])


def _pages(filters: Query, **more: str) -> Iterator[Query]:
    for chosen, order, skip in product(_subsets(filters), ("desc", "asc"), (0, MAX_SKIP)):
        yield {**more, **chosen, "order": order, "skip": skip, "take": 20}


def _days(day: str) -> Iterator[Query]:
    for ends, order in product(
        ({"date_from": day}, {"date_to": day}, {"date_from": day, "date_to": day}), ("desc", "asc")
    ):
        yield {"include_messages": "false", **ends, "order": order}


def _sorted(filters: Query) -> Iterator[Query]:
    for chosen, sort, sign, page in product(_subsets(filters), SORTS, ("", "-"), (1, 2, FAR)):
        yield {**chosen, "sort": sign + sort, "page": page}


def _searched(filters: Query) -> Iterator[Query]:
    for chosen, words, skip in product(_subsets(filters), WORDS.values(), (0, 900)):
        yield {**chosen, "q": words, "skip": skip}


def _messages() -> Iterator[Query]:
    for role, order in product(({}, {"role": "user"}), ("asc", "desc")):
        yield {**role, "order": order}


def _subsets(filters: Query) -> Iterator[Query]:
    every = chain.from_iterable(combinations(filters, size) for size in range(len(filters) + 1))
    return ({name: filters[name] for name in names} for names in every)


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
