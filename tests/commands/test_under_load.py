"""`manage.py up` under load: its database is killed, has few connections, and it is told to stop."""

import asyncio
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import httpx
import psycopg
import pytest

from tests.commands.test_up import first_start
from tests.commands.ups import Up, all_gone, until, up
from tests.embedded.people import User, connect, kill_server, servers
from tests.faults.wire import STREAM, fetch, opened
from tests.processes import descendants
from threadhub import embedded

WRITERS = 6
FEW_CONNECTIONS = 50
STREAMS = 200


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Whose database has few connections, from its first start by the hub."""
    made = tmp_path_factory.mktemp("load") / "data"
    with closing(User(made, durable=True)) as user:
        user.ensure()
        with connect(made) as admin:
            admin.execute(f"ALTER SYSTEM SET max_connections = {FEW_CONNECTIONS}")
        user.leave()
    until(lambda: not servers(made))
    return made


@pytest.fixture(scope="module")
def hub(data_dir: Path) -> Iterator[Up]:
    started = up(data_dir, "--json")
    try:
        started.facts()
        yield started
    finally:
        if started.process.poll() is None:
            started.signal()


@pytest.fixture
def client(hub: Up, data_dir: Path) -> Iterator[httpx.Client]:
    with asking(hub, data_dir) as client:
        yield client


def asking(hub: Up, data_dir: Path) -> httpx.Client:
    key = {"authorization": f"Bearer {first_start(data_dir)['api_key']}"}
    return httpx.Client(base_url=hub.url, headers=key, timeout=60, trust_env=False)


def invoke_path(data_dir: Path) -> str:
    return f"/agents/{first_start(data_dir)['agent_id']}/invoke"


def new_thread(client: httpx.Client, data_dir: Path) -> str:
    made = client.post(f"/agents/{first_start(data_dir)['agent_id']}/threads", json={})
    return str(made.json()["id"])


def test_a_database_that_is_killed_under_load_loses_nothing_acknowledged(client: httpx.Client, data_dir: Path) -> None:
    threads = [new_thread(client, data_dir) for _ in range(WRITERS)]
    acknowledged: dict[str, list[str]] = {thread: [] for thread in threads}
    refusals: list[httpx.Response] = []
    stop, killed = threading.Event(), threading.Event()
    after = Counter[str]()

    def write(thread: str) -> None:
        while not stop.is_set():
            answer = client.post(f"/threads/{thread}/messages", json={"role": "user", "content": "kept"})
            if answer.status_code == 201:
                acknowledged[thread].append(answer.json()["id"])
                after[thread] += killed.is_set()
            else:
                refusals.append(answer)

    with ThreadPoolExecutor(WRITERS) as writers:
        writing = [writers.submit(write, thread) for thread in threads]
        try:
            until(lambda: all(len(ids) > 5 for ids in acknowledged.values()))
            kill_server(data_dir)
            killed.set()
            until(lambda: all(after[thread] > 5 for thread in threads))
        finally:
            stop.set()
        for each in writing:
            each.result()
    assert {answer.status_code for answer in refusals} <= {503}, [answer.text for answer in refusals]
    assert all(int(answer.headers["retry-after"]) > 0 for answer in refusals)
    for thread, ids in acknowledged.items():
        assert set(ids) <= set(stored(client, thread))
        assert positions(client, thread) == list(range(1, len(stored(client, thread)) + 1))


def connection_to(data_dir: Path) -> dict[str, str]:
    where = embedded.connection_settings(data_dir)
    return {"host": where["HOST"], "dbname": where["NAME"], "user": where["USER"], "port": where["PORT"]}


def stored(client: httpx.Client, thread: str) -> list[str]:
    return [message["id"] for message in every_message(client, thread)]


def positions(client: httpx.Client, thread: str) -> list[int]:
    return sorted(message["position"] for message in every_message(client, thread))


def every_message(client: httpx.Client, thread: str) -> list[dict[str, object]]:
    messages: list[dict[str, object]] = client.get(f"/threads/{thread}").json()["messages"]
    return messages


def test_two_hundred_streams_leave_room_in_a_database_of_fifty_connections(
    hub: Up, client: httpx.Client, data_dir: Path
) -> None:
    token, path = first_start(data_dir)["api_key"], invoke_path(data_dir)
    with psycopg.connect(**connection_to(data_dir)) as admin:
        assert admin.execute("SHOW max_connections").fetchone() == (str(FEW_CONNECTIONS),)
    everyone_is_in = asyncio.Event()

    async def watch() -> int:
        async with opened(hub.port, "POST", path, token=token, body={"prompt": "/hang 60"}, headers=STREAM) as response:
            await everyone_is_in.wait()
            return response.status

    async def all_of_them() -> tuple[list[int], list[int]]:
        streams = [asyncio.create_task(watch()) for _ in range(STREAMS)]
        others: list[int] = []
        while runs(data_dir) < STREAMS or len(others) < 40:
            others.append((await fetch(hub.port, "GET", "/threads", token=token)).status)
            failed = [stream for stream in streams if stream.done()]
            assert not failed, [stream.result() for stream in failed]
        everyone_is_in.set()
        return list(await asyncio.gather(*streams)), others

    statuses, others = asyncio.run(all_of_them())
    assert Counter(statuses) == {200: STREAMS}
    assert set(others) == {200}
    for thread in client.get("/threads?take=100").json()["data"]:
        client.delete(f"/threads/{thread['id']}")


def runs(data_dir: Path) -> int:
    """How many are live."""
    with psycopg.connect(**connection_to(data_dir)) as admin:
        row = admin.execute("SELECT count(*) FROM threads_run WHERE status IN ('queued', 'running')").fetchone()
    return int(row[0]) if row else 0


def test_it_ends_in_time_while_twenty_streams_speak_and_each_is_told(tmp_path: Path) -> None:
    data_dir = tmp_path / "data"
    hub = up(data_dir, "--json", WORKER_CONCURRENCY="20")
    hub.facts()
    token, path = first_start(data_dir)["api_key"], invoke_path(data_dir)
    own = descendants(hub.process.pid)
    speaking: set[int] = set()
    body = {"prompt": "/slow 0.3\n/length 500"}

    async def listen(number: int) -> list[bytes]:
        async with opened(hub.port, "POST", path, token=token, body=body, headers=STREAM) as response:
            frames = []
            async for frame in response.frames():
                frames.append(frame)
                if b"text_delta" in frame:
                    speaking.add(number)
            return frames

    async def stopped_in_the_middle() -> list[list[bytes]]:
        streams = [asyncio.create_task(listen(number)) for number in range(20)]
        await asyncio.to_thread(until, lambda: len(speaking) == 20)
        hub.process.terminate()
        return list(await asyncio.gather(*streams))

    streams = asyncio.run(stopped_in_the_middle())
    assert hub.process.wait(30) == 0
    assert all_gone(own)
    assert Counter(frames[-1].split(b"\n")[1] for frames in streams) == {b"event: message_stop": 20}
    assert all(b"worker_stopped" in frames[-2] for frames in streams)
    again = up(data_dir, "--json")
    again.facts()
    try:
        with asking(again, data_dir) as client:
            threads = client.get("/threads?take=100").json()["data"]
            told = [every_message(client, thread["id"]) for thread in threads]
    finally:
        again.signal()
    assert [[message["role"] for message in messages] for messages in told] == [["user", "assistant"]] * 20
    assert all(messages[1]["partial"] and messages[1]["content"] for messages in told)
