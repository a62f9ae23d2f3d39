"""The full walk: `python -m tests.lifecycle.crash_walk [--command archive] …`. Breaks a command at each of its calls
that change a file or speak to the database, and prints what was found. Needs `strace`. tests/lifecycle/README.md has
the figures."""

import argparse
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path


def main() -> int:
    os.environ["DJANGO_SETTINGS_MODULE"] = "tests.settings"
    import django

    django.setup()
    from django.db import connection
    from django.test.utils import setup_databases, teardown_databases

    from tests.lifecycle.crash import broken, strace
    from tests.lifecycle.crash.scenes import SCENES
    from tests.lifecycle.crash.walk import FAULTS, stage, walk

    parser = argparse.ArgumentParser(prog="python -m tests.lifecycle.crash_walk", description=__doc__)
    parser.add_argument("--command", choices=sorted(SCENES), action="append", help="Only this one.")
    parser.add_argument("--fault", choices=FAULTS, action="append", help="Only this one.")
    parser.add_argument("--call", choices=strace.CALLS, action="append", help="Only this one.")
    parser.add_argument("--step", type=int, default=1, help="Every so many calls only.")
    parser.add_argument("--first", type=int, default=1, help="Begin at this call of each kind.")
    parser.add_argument("--last", type=int, help="End at this one, even if the command has more.")
    parser.add_argument("--broken", default="", choices=[name for name in vars(broken) if "ed" in name], help="A copy.")
    options = parser.parse_args()
    if shutil.which("strace") is None:
        parser.error("it needs strace: apt-get install strace")
    connection.settings_dict["TEST"]["NAME"] = f"test_threadhub_crash_walk_{os.getpid()}"
    databases = setup_databases(verbosity=0, interactive=False)
    home = Path(tempfile.mkdtemp(prefix="threadhub-crash-"))
    found = 0
    try:
        with stage(home) as made:
            for command in options.command or SCENES:
                started = time.monotonic()
                report = walk(
                    made, command, broken=options.broken, faults=options.fault or FAULTS, step=options.step,
                    kinds=options.call or strace.CALLS, first=options.first, last=options.last,
                )  # fmt: skip
                seconds = time.monotonic() - started
                points = ", ".join(f"{fault} {count}" for fault, count in report.points.items())
                calls = ", ".join(f"{call} {count}" for call, count in report.calls.items())
                print(f"{command}: {report.total} points ({points}; {calls}) in {seconds:.0f} s,", end=" ")
                print(f"{len(report.findings)} findings", flush=True)
                for finding in report.findings:
                    print(f"  {finding}", flush=True)
                found += len(report.findings)
    finally:
        teardown_databases(databases, verbosity=0)
        shutil.rmtree(home)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
