"""How fast the hot requests are at a million threads, beside the least that a Python server could do.

    python -m tests.bench.million [--quick] [--json] [--rounds 3] [--seconds 3] [--only W3,W4]

Seeds an embedded PostgreSQL of its own in a temporary directory (1,000,000 threads and 20,000,000 messages over four
workspaces, one of them large; `--quick`: 20,000 threads), serves it as README says for production, and beside it by
`bare.py`: no framework, cached credentials, one prepared statement whose JSON is sent as it is. The same statements are
run by pgbench too. All are asked the same in turn, round by round, reads before writes. What counts is the ratio in one
run; CPU is that of the web processes and of PostgreSQL.
"""

import argparse
import json
import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from tests.bench import load
from tests.bench.load import Round
from tests.bench.million import reference, seed, serving, workloads

QUICK, WHOLE = 20_000, 1_000_000
SECONDS, QUICK_SECONDS = 2.0, 1.2
CONNECTIONS = 8
SIDES = ("hub", "bare", "pgbench")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help=f"{QUICK:,} threads instead of {WHOLE:,}")
    parser.add_argument("--threads", type=int, help="how many threads, for figures between the two")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, help=f"of each side in each round: {SECONDS}, {QUICK_SECONDS} quick")
    parser.add_argument("--workers", type=int, default=2, help="web processes of each side")
    parser.add_argument("--only", default="", help="workloads with a comma between them")
    parser.add_argument(
        "--keep", type=Path, help="a directory whose database is kept, and taken as it is the next time"
    )
    wanted = parser.parse_args()
    home = wanted.keep or Path(tempfile.mkdtemp(prefix="threadhub-bench-"))
    try:
        figures = _measure(home, wanted)
    finally:
        if not wanted.keep:
            shutil.rmtree(home, ignore_errors=True)
    print(json.dumps(figures, indent=2) if wanted.json else _table(figures))


def _measure(home: Path, wanted: argparse.Namespace) -> dict[str, Any]:
    threads = wanted.threads or (QUICK if wanted.quick else WHOLE)
    chosen = [each for each in workloads.ALL if not wanted.only or each.name in wanted.only.split(",")]
    seconds_each = wanted.seconds or (QUICK_SECONDS if wanted.quick else SECONDS)
    chosen.sort(key=lambda each: each.writes)  # what is written would stand on the pages that are read
    with serving.database(home) as database:
        world = seed.kept(home) or _seed(database, threads)
        rounds: dict[tuple[str, str], list[Round]] = {}
        with serving.hub(home, workers=wanted.workers) as hub, serving.bare(database, workers=wanted.workers) as bare:
            for workload in chosen:
                serving.index_of_bare(database, kept=workload.name == "W6")
                for number in range(wanted.rounds + 1):
                    seconds = seconds_each if number else min(seconds_each, 1.0)  # the first warms up
                    once = {"connections": CONNECTIONS, "seconds": seconds}
                    done = [
                        *(load.run(server, workloads.requests(workload, world), **once) for server in (hub, bare)),
                        reference.run(database, workload, world, **once),
                    ]
                    for side, each in zip(SIDES, done, strict=True):
                        if number:
                            rounds.setdefault((workload.name, side), []).append(each)
        serving.index_of_bare(database, kept=False)
        sizes = seed.sizes(database)
    rows = [_row(workload, rounds) for workload in chosen]
    return {"threads": world.threads, "workers": wanted.workers, "workloads": rows, "sizes": sizes}


def _seed(database: serving.Database, threads: int) -> seed.World:
    _say(f"seeding {threads:,} threads and about {threads * seed.MESSAGES_PER_THREAD:,} messages")
    began = time.monotonic()
    world = seed.fill(database, threads=threads)
    seed.keep(database.home, world)
    _say(f"seeded in {time.monotonic() - began:.0f} s")
    return world


def _row(workload: workloads.Workload, rounds: dict[tuple[str, str], list[Round]]) -> dict[str, Any]:
    figures: dict[str, Any] = {"name": workload.name, "title": workload.title, "goal": workload.goal}
    for side in SIDES:
        done = rounds[workload.name, side]
        figures[side] = {
            name: round(statistics.median(getattr(each, name) for each in done), 2)
            for name in ("per_second", "p50_ms", "p99_ms", "web_cpu_ms", "postgres_cpu_ms")
        }
    both = zip(rounds[workload.name, "hub"], rounds[workload.name, "bare"], strict=True)
    figures["ratio"] = round(statistics.median(hub.per_second / bare.per_second for hub, bare in both), 2)
    return figures


def _table(figures: dict[str, Any]) -> str:
    lines = [
        f"{figures['threads']:,} threads, {CONNECTIONS} connections, {figures['workers']} web processes each side",
        "",
        "| workload | requests/s | p50 ms | p99 ms | CPU ms: web + PostgreSQL | ratio to bare | goal | by pgbench |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for row in figures["workloads"]:
        hub, bare = row["hub"], row["bare"]
        cells = [f"{hub[name]:g} ({bare[name]:g})" for name in ("per_second", "p50_ms", "p99_ms")]
        cpu = (
            f"{hub['web_cpu_ms']:g} + {hub['postgres_cpu_ms']:g} ({bare['web_cpu_ms']:g} + {bare['postgres_cpu_ms']:g})"
        )
        alone = row["pgbench"]
        last = f"**{row['ratio']:.2f}** | {row['goal']:.2f} | {alone['per_second']:g}, {alone['postgres_cpu_ms']:g} ms"
        lines.append(f"| {row['name']} {row['title']} | {' | '.join(cells)} | {cpu} | {last} |")
    lines += ["", "bare in brackets", "", "| relation | rows | table MB | indexes MB |", "| --- | ---: | ---: | ---: |"]
    for size in figures["sizes"]:
        lines.append(f"| {size['name']} | {size['rows']:,} | {size['table_mb']:,} | {size['indexes_mb']:,} |")
    return "\n".join(lines)


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
