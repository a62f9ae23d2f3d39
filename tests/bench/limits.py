"""What counting requests costs: the same requests with limits and without, in turn, in one run.

    python -m tests.bench.limits [--rounds 9]

Starts an embedded PostgreSQL of its own in a temporary directory. Prints medians of a whole request (without network),
of the statement that borrows, and of a turn that needs none.
"""

import argparse
import atexit
import os
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable

TIMES = 150  # requests in each round


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    wanted = parser.parse_args()
    home = tempfile.mkdtemp(prefix="threadhub-bench-")
    atexit.register(shutil.rmtree, home)  # first registered, last done: the server in it has ended by then
    os.environ.update(DJANGO_SETTINGS_MODULE="threadhub.settings", THREADHUB_DATA_DIR=home, DATABASE_URL="")
    import django

    django.setup()
    _measure(wanted.rounds)


def _measure(rounds: int) -> None:
    from django.conf import settings
    from django.core.management import call_command
    from django.test import Client

    from threadhub import provision
    from threadhub.agents.providers import DetectedProvider
    from threadhub.isolation import scope
    from threadhub.limits import rates, sql
    from threadhub.limits.subjects import MINUTE, Subject

    call_command("migrate", verbosity=0)
    with scope.as_owner():
        made = provision.workspace(name="bench", username="bench", provider=DetectedProvider("echo", "echo", ""))
    client = Client(headers={"Authorization": f"Bearer {made.api_key}", "Host": "localhost"})
    subject = Subject("key", "key:bench", 10_000_000)

    def ask() -> None:
        assert client.get("/threads").status_code == 200

    times: dict[str, list[float]] = {name: [] for name in ("without", "with", "borrowing", "borrowed")}
    for number in range(rounds + 1):
        for name, quota in (("without", 0), ("with", 10_000_000)):
            settings.RATE_LIMIT_KEY = quota
            _time(times[name], ask, warm=not number)
        with scope.nowhere():
            borrow = lambda: sql.take(id=subject.id, quota=subject.quota, window=MINUTE, share=64, back=0)  # noqa: E731
            _time(times["borrowing"], borrow, warm=not number)
            _time(times["borrowed"], lambda: rates.spend(subject), warm=not number)
    medians = {name: statistics.median(found) for name, found in times.items()}
    for name, seconds in medians.items():
        print(f"{name:<12}{seconds * 1e6:>10.1f} µs{seconds / medians['without']:>9.4f}")


def _time(times: list[float], do: Callable[[], object], *, warm: bool) -> None:
    started = time.perf_counter()
    for _ in range(TIMES):
        do()
    if not warm:
        times.append((time.perf_counter() - started) / TIMES)


if __name__ == "__main__":
    main()
