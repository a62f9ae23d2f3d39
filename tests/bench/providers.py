"""What a run adds to the work of hearing a fast provider: `python -m tests.bench.providers`. Prints Markdown.

A server that speaks OpenAI's chat completions sends long answers piece by piece: so many a second, and as fast as they
are taken. They are heard once by the product's adapter alone, in a process of its own, and once by a whole hub
(`manage.py up`), where a worker runs the answer, PostgreSQL stores its events and a web process sends them to a reader.
CPU is that of a process, with all of its threads, beyond what it takes when nobody asks; of the provider, which is this
process, nothing is counted.
"""

import asyncio
import multiprocessing
import os
import statistics
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from tests.bench.processors import Roles
from tests.fakes.openai_server import FakeOpenAI, Reply, answer, usage
from tests.faults.wire import STREAM, opened
from tests.hub import Hub, running

PIECE = "word "
SECONDS = 4.0  # of an answer that is sent at a rate
PIECES = 10_000  # of one that is sent as fast as it is taken
RATES = (50, 200, 500, None)  # pieces a second
ROUNDS = 3


def reply(rate: int | None) -> Reply:
    number = number_of(rate)
    return answer(*[PIECE] * number, counted=usage(20, number), pause=0.0 if rate is None else 1 / rate)


def number_of(rate: int | None) -> int:
    return PIECES if rate is None else int(SECONDS * rate)


def hear_alone(base_url: str, rate: int | None) -> float:
    """Seconds of CPU that the adapter takes for one answer; for a process of its own."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "threadhub.settings")
    from threadhub.agents.providers import ContextMessage, ModelRequest, ProviderSettings
    from threadhub.agents.providers.openai import OpenAIProvider

    provider = OpenAIProvider(ProviderSettings(openai_base_url=base_url, openai_api_key="key"))
    request = ModelRequest(model="fake-1", instructions=None, messages=(ContextMessage("user", "Go on."),))

    async def hear() -> float:
        heard, began = 0, time.process_time()
        async for event in provider.stream(request):
            heard += PIECE in getattr(event, "text", "")
        assert heard == number_of(rate), heard
        return time.process_time() - began

    async def both() -> float:
        await hear()  # imports, and a connection
        return await hear()

    return asyncio.run(both())


async def ask(hub: Hub) -> None:
    """Ask, and read the answer to its end."""
    port = int(hub.url.rpartition(":")[2])
    thread = hub.post(f"/agents/{hub.agent_id}/threads", json={"title": "It has one"}).raise_for_status().json()["id"]
    path, asked = f"/threads/{thread}/invoke", {"prompt": "Go on."}
    async with opened(port, "POST", path, token=hub.api_key, body=asked, headers=STREAM) as response:
        frames = [frame async for frame in response.frames()]
    assert b"message_stop" in frames[-1], frames[-1]


def measure(hub: Hub, server: FakeOpenAI, rate: int | None) -> None:
    """A row of the table: microseconds of CPU for each piece, medians."""
    server.otherwise = lambda _: reply(rate)
    number, roles = number_of(rate), Roles(hub)
    alone: list[float] = []
    taken: list[dict[str, float]] = []
    idle = roles.idle()
    for _ in range(ROUNDS):
        with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as apart:
            alone.append(apart.submit(hear_alone, server.base_url, rate).result() / number * 1e6)
        before, began = roles.cpu(), time.perf_counter()
        asyncio.run(ask(hub))
        took, after = time.perf_counter() - began, roles.cpu()
        taken.append({role: (after[role] - before[role] - idle[role] * took) / number * 1e6 for role in after})
    usual = statistics.median(alone)
    by_role = {role: statistics.median(each[role] for each in taken) for role in taken[0]}
    said = "as fast as it is taken" if rate is None else f"{rate} a second"
    print(
        f"| {said} | {usual:.0f} | {by_role['worker']:.0f} | {by_role['worker'] / usual - 1:+.0%} |"
        f" {by_role['postgres']:.0f} | {by_role['web']:.0f} |",
        flush=True,
    )


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="threadhub-bench-") as directory, FakeOpenAI() as server:
        home = Path(directory)
        environment = {
            "THREADHUB_PROVIDER": "openai", "THREADHUB_MODEL": "fake-1", "OPENAI_BASE_URL": server.base_url,
            "OPENAI_API_KEY": "key",
        }  # fmt: skip
        with running(home / "data", logs=home, environment=environment) as hub:
            asyncio.run(ask(hub))  # imports what answers need
            print("| pieces | heard alone, µs of CPU each | by a run's worker | more | PostgreSQL | web |")
            print("| --- | ---: | ---: | ---: | ---: | ---: |")
            for rate in RATES:
                measure(hub, server, rate)


if __name__ == "__main__":
    main()
