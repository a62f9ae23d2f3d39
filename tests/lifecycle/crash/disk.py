"""What a power cut leaves of a directory, at its worst: of files only what was flushed, of names only those whose
directory was flushed after. A name that was durable and is given to another file has the one or the other. A killed
process alone leaves all that it wrote to the kernel, and would not show a missing fsync."""

import os
import shutil
from collections.abc import Iterable
from pathlib import Path

from tests.lifecycle.crash.strace import Call


def cut_power(root: Path, made: Iterable[Call]) -> list[str]:
    """Undo in `root` what the calls did not make durable; returns what was undone."""
    unsynced_data: set[str] = set()
    unsynced_names: set[str] = set()
    durable_names: set[str] = set()
    for call in made:
        if not call.done or not call.paths or not Path(call.paths[0]).is_relative_to(root):
            continue
        path = call.paths[0]
        if call.name in ("openat", "mkdir", "mkdirat"):
            unsynced_names.add(path)
        elif call.name in ("write", "pwrite64", "writev", "ftruncate"):
            unsynced_data.add(path)
        elif call.name in ("fsync", "fdatasync"):
            unsynced_data.discard(path)
            durable_names |= {name for name in unsynced_names if os.path.dirname(name) == path}
            unsynced_names -= durable_names
        elif call.name.startswith("rename"):
            target = call.paths[-1]
            if path in unsynced_data:
                unsynced_data.discard(path)
                unsynced_data.add(target)
            unsynced_names.discard(path)
            unsynced_names |= {target} - durable_names
        elif call.name in ("unlink", "unlinkat", "rmdir"):
            durable_names.discard(path)
    return [*_empty(unsynced_data), *_remove(unsynced_names)]


def _empty(paths: Iterable[str]) -> list[str]:
    undone = []
    for path in sorted(paths):
        if Path(path).is_file():
            os.truncate(path, 0)
            undone.append(f"content of {path}")
    return undone


def _remove(paths: Iterable[str]) -> list[str]:
    undone = []
    for path in sorted(paths):
        if Path(path).is_dir():
            shutil.rmtree(path)
        elif Path(path).exists():
            os.unlink(path)
        else:
            continue
        undone.append(f"name {path}")
    return undone
