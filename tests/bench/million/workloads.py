"""W1 to W6: what is asked. Both servers know the same addresses."""

import itertools
import json
import random
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import quote

from tests.bench.million.seed import METADATA_VALUES, World


@dataclass(frozen=True, slots=True)
class Workload:
    """`goal`: the throughput to reach, as a ratio to bare in the same run."""

    name: str
    title: str
    goal: float
    writes: bool = False


ALL = (
    Workload("W1", "create a thread", 0.50, writes=True),
    Workload("W2", "append 200 bytes", 0.50, writes=True),
    Workload("W3", "thread with 50 messages", 0.55),
    Workload("W4", "newest 20 and count", 0.65),
    Workload("W5", "the same, deep", 0.85),
    Workload("W6", "newest 20 by metadata and count", 0.85),
)
LIST = "/threads?include_messages=false&take=20"
DEEP = 0.7  # of the large workspace, and no deeper than `skip` may go
MAX_SKIP = 10_000
TEXT = "200 bytes of it " * 12 + "and more"


def requests(workload: Workload, world: World) -> Iterator[bytes]:
    """One request after the other, without end, each as the bytes that are sent."""
    chance = random.Random(7)
    skip, text = deep(world), json.dumps({"role": "user", "content": TEXT}).encode()
    for number in itertools.count():
        match workload.name:
            case "W1":
                body = json.dumps({"title": f"number {number}", "metadata": {"k": number}}).encode()
                yield request(world, "POST", f"/agents/{world.agent}/threads", body)
            case "W2":
                yield request(world, "POST", f"/threads/{chance.choice(world.some_threads)}/messages", text)
            case "W3":
                yield request(world, "GET", f"/threads/{chance.choice(world.threads_of_50)}")
            case "W4":
                yield request(world, "GET", LIST)
            case "W5":
                yield request(world, "GET", f"{LIST}&skip={skip}")
            case _:
                pairs = quote(json.dumps({"k": chance.randrange(METADATA_VALUES)}))
                yield request(world, "GET", f"{LIST}&metadata={pairs}")


def deep(world: World) -> int:
    """Threads that W5 skips."""
    return min(MAX_SKIP, int(world.large_threads * DEEP))


def request(world: World, method: str, path: str, body: bytes = b"") -> bytes:
    head = f"{method} {path} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {world.key}\r\n"
    if body:
        head += f"content-type: application/json\r\ncontent-length: {len(body)}\r\n"
    return head.encode() + b"\r\n" + body
