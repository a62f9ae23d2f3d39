"""The web process behind `up`: streams as they come, everything else beside them, and what it keeps of either."""

import contextlib
import re
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path

import httpx
import pytest

from tests.commands.test_up import first_start
from tests.commands.ups import Up, until

STREAM = {"accept": "text/event-stream"}
LIMIT = 16 * 2**20


class Client(httpx.Client):
    """Asks the running hub with the demo workspace's key."""

    def __init__(self, hub: Up, data_dir: Path) -> None:
        known = first_start(data_dir)
        key = {"authorization": f"Bearer {known['api_key']}"}
        super().__init__(
            base_url=hub.url, headers=key, timeout=60, trust_env=False, limits=httpx.Limits(max_connections=200)
        )
        self.agent = f"/agents/{known['agent_id']}"
        self.integration = f"/api/ai/{known['agent_id']}"

    def thread(self) -> str:
        """The path of a new thread."""
        return f"{self.agent}/threads/{self.post(f'{self.agent}/threads', json={}).json()['id']}"


@pytest.fixture
def client(running: Up, data_dir: Path) -> Iterator[Client]:
    with Client(running, data_dir) as client:
        yield client


def threads_of_web(hub: Up) -> int:
    """Threads of the process that answers requests."""
    status = [Path(f"/proc/{process.pid}/status").read_text() for process in hub.child("threadhub.launch.web")]
    return max(int(re.findall(r"Threads:\s+(\d+)", text)[0]) for text in status)


def test_a_stream_comes_as_it_is_made(client: Client) -> None:
    ask = {"prompt": "/slow 0.1\n/length 10"}
    arrived = []
    with client.stream("POST", f"{client.thread()}/invoke", json=ask, headers=STREAM) as stream:
        for chunk in stream.iter_raw():
            arrived += [time.monotonic()] * chunk.count(b"text_delta")
    assert len(arrived) == 10
    gaps = [later - earlier for earlier, later in pairwise(arrived)]
    assert sum(gap > 0.03 for gap in gaps) >= 7


def test_open_streams_keep_neither_threads_nor_connections(running: Up, client: Client) -> None:
    """The pool has three connections: one kept by each stream would be noticed by the fourth."""
    paths = [client.thread() for _ in range(40)]
    before = threads_of_web(running)
    with contextlib.ExitStack() as open_streams:
        for path in paths:
            ask = client.stream("POST", f"{path}/invoke", json={"prompt": "/hang 30"}, headers=STREAM)
            assert open_streams.enter_context(ask).status_code == 200
        until(lambda: threads_of_web(running) <= before + 20, seconds=10)
        with ThreadPoolExecutor(8) as people:
            statuses = set(people.map(lambda path: client.get(path).status_code, paths * 2))
        assert statuses == {200}
        for path in paths:
            (run,) = client.get(f"/threads/{path.rpartition('/')[2]}/runs").json()["data"]
            client.post(f"/threads/{path.rpartition('/')[2]}/runs/{run['id']}/cancel")


def test_answers_that_wait_keep_no_connection_either(client: Client) -> None:
    ask = {"prompt": "/slow 0.2\n/say one two three"}
    with ThreadPoolExecutor(12) as people:
        threads = [client.thread() for _ in range(12)]
        answers = list(people.map(lambda path: client.post(f"{path}/invoke", json=ask), threads))
    assert {answer.status_code for answer in answers} == {200}


def test_requests_that_fail_keep_no_connection(client: Client) -> None:
    with ThreadPoolExecutor(8) as people:
        for path in ("/threads?skip=x", "/agents/nope/threads", "/nothing", f"{client.integration}/nothing"):
            assert all(status < 500 for status in people.map(lambda _, p=path: client.get(p).status_code, range(16)))
    assert client.get("/threads").status_code == 200


def test_a_body_in_chunks_is_read(client: Client) -> None:
    pieces = iter([b'{"external_ref": ', b'"in pieces"}'])
    made = client.post(f"{client.agent}/threads", content=pieces)
    assert made.json()["external_ref"] == "in pieces"
    answer = client.post(f"{client.agent}/invoke", content=iter([b'{"input": ', b'"/say hi"}']))
    assert answer.json()["data"]["answer"] == "hi"


@pytest.mark.parametrize("announced", [True, False])
def test_a_body_that_is_too_large_is_refused_in_its_dialect_and_the_connection_lives(
    client: Client, announced: bool
) -> None:
    body = b'{"prompt": "' + b"x" * LIMIT + b'"}'
    for path in (f"{client.agent}/threads", f"{client.agent}/invoke", f"{client.integration}/chat-completion"):
        refused = client.post(path, content=body if announced else iter([body[:LIMIT], body[LIMIT:]]))
        assert refused.status_code == 413
        assert refused.json()["code"] == "too_large"
    assert client.get("/health").status_code == 200


def test_static_files_come_with_the_pages(client: Client) -> None:
    page = client.get("/admin/login/").text
    (style, *_) = re.findall(r'href="(/static/[^"]+\.css)"', page)
    found = client.get(style)
    assert found.status_code == 200
    assert found.headers["content-type"].startswith("text/css")
    assert len(found.content) == int(found.headers.get("content-length", len(found.content)))
    assert client.get("/static/nothing.css").status_code == 404
