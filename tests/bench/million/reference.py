"""PostgreSQL by itself: the statements of bare.py, prepared, by pgbench, which comes with the embedded server.

What no web process could be faster than. Ids that differ from request to request are in a script each; the reference
asks for fewer different threads than the others do.
"""

import re
import subprocess
import tempfile
from pathlib import Path

import psycopg

from tests.bench.load import Round, cpu_of
from tests.bench.million import bare, seed, workloads
from tests.bench.million.seed import METADATA_VALUES, World
from tests.bench.million.serving import Database
from tests.bench.million.workloads import TEXT, Workload
from tests.processes import working_in
from threadhub.embedded import binaries
from threadhub.lib import ids

THREADS = 64  # scripts; pgbench takes 128 at most
PARAMETER = re.compile(r"%\((\w+)\)s")
RATE = re.compile(r"^tps = ([\d.]+)", re.MULTILINE)


def run(database: Database, workload: Workload, world: World, *, connections: int, seconds: float) -> Round:
    """Ask for so long, on as many connections. Raises CalledProcessError where a statement fails."""
    with tempfile.TemporaryDirectory() as directory:
        home = Path(directory)
        files = []
        for number, text in enumerate(_scripts(database, workload, world)):
            file = home / f"{number}.sql"
            file.write_text(text)
            files += ["-f", str(file)]
        before = cpu_of(working_in(database.home))
        done = subprocess.run(
            [
                *(str(binaries.find().psql.with_name("pgbench")), "-n", "-M", "prepared"),
                *("-c", str(connections), "-j", "1", "-T", str(max(1, round(seconds)))),
                *("-l", "--log-prefix", str(home / "log"), *files, database.conninfo),
            ],
            check=True,
            capture_output=True,
            text=True,
        )
        used = cpu_of(working_in(database.home)) - before
        times = sorted(
            int(line.split()[2]) / 1000 for log in home.glob("log*") for line in log.read_text().splitlines()
        )
    rate = RATE.search(done.stdout)
    assert rate is not None, done.stdout
    return Round(
        per_second=float(rate[1]),
        p50_ms=times[len(times) // 2],
        p99_ms=times[min(len(times) - 1, int(len(times) * 0.99))],
        web_cpu_ms=0.0,
        postgres_cpu_ms=used / len(times),
    )


def _scripts(database: Database, workload: Workload, world: World) -> list[str]:
    with psycopg.connect(database.conninfo) as connection:
        asker = connection.execute(
            "SELECT workspace_id, user_id FROM workspaces_apikey WHERE digest = %s", [seed.digest_of(world.key)]
        ).fetchone()
    assert asker is not None, "an unknown key"
    known = {"workspace": asker[0], "user": asker[1], "skip": 0, "take": 20}
    match workload.name:
        case "W1":
            values = {**known, "agent": ids.decode("agent", world.agent), "title": "number :n", "metadata": '{"k": 1}'}
            return ["\\set n random(1, 1000000)\n" + _spelled(bare.CREATE, values)]
        case "W2" | "W3":
            of = (bare.APPEND, world.some_threads) if workload.name == "W2" else (bare.READ, world.threads_of_50)
            threads = [ids.decode("thread", text) for text in of[1][:THREADS]]
            said = {"role": "user", "content": TEXT}
            return [_spelled(of[0], {**known, **said, "thread": thread}) for thread in threads]
        case "W4":
            return [_spelled(bare.LIST, known)]
        case "W5":
            return [_spelled(bare.LIST, {**known, "skip": workloads.deep(world)})]
    found = _spelled(bare.FOUND, {**known, "metadata": '{"k": :k}'})
    return [f"\\set k random(0, {METADATA_VALUES - 1})\n{found}"]


def _spelled(sql: str, values: dict[str, object]) -> str:
    """A statement for pgbench: what is the same each time in the text, its variables put together with it."""

    def value(match: "re.Match[str]") -> str:
        text = str(values[match[1]]).replace("'", "''")
        text = re.sub(r":(\w)\b", r"' || :\1 || '", text)
        return text if isinstance(values[match[1]], int) else f"('{text}')" if "||" in text else f"'{text}'"

    return PARAMETER.sub(value, sql).strip() + ";\n"
