"""Who was erased, in a form that says nothing of them: kept in the database and beside the archive, so that a database
restored from an older backup is told what it must forget again.

One file per erasure, `erasures/<workspace>/<erasure>.json` in the archive's storage. What is older than the erasure and
known under one of its hashes or ids is a person's who was erased; what came later is a new acquaintance.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from threadhub.lib import ids
from threadhub.workspaces.models import Workspace
from threads.lifecycle.bundles import vault
from threads.lifecycle.erasure.people import digests_of_thread
from threads.models import Erasure

FORMAT = "threadhub-erasures/1"
FOLDER = "erasures"
MAX_BYTES = 256 * 2**20


@dataclass(frozen=True, slots=True)
class Entry:
    """One erasure as the ledger has it."""

    erasure_id: UUID
    workspace_id: UUID
    at: datetime
    digests: frozenset[str]
    threads: frozenset[UUID]
    key: str  # name of the SECRET_KEY under which the digests were made; empty: not told

    def has(self, thread: Any) -> bool:
        """Whether this thread is of the one who was erased."""
        if thread.pk in self.threads:
            return True
        return thread.created_at <= self.at and bool(self.digests & digests_of_thread(thread))


def write(erasure: Erasure) -> None:
    """Durable from here on; written again with more in it, as the erasure goes on."""
    workspace = ids.encode(Workspace.PREFIX, erasure.workspace_id)
    assert erasure.confirmed_at is not None  # noqa: S101  only what is confirmed gets here
    text = json.dumps(
        {
            "format": FORMAT,
            "erasure": erasure.wire_id,
            "workspace": workspace,
            "at": erasure.confirmed_at.isoformat(),
            "digests": erasure.digests,
            "key": erasure.key,
            "threads": sorted(erasure.progress.get("threads", [])),
        },
        sort_keys=True,
    )
    with vault.writing() as draft:
        draft.file.write(text.encode())
        draft.keep(f"{FOLDER}/{workspace}/{erasure.wire_id}.json")


def entries(*, workspace_id: UUID) -> list[Entry]:
    """All of a workspace, from its files and its table: a database may be older than its files."""
    found = {each.erasure_id: each for each in _of_table(workspace_id)}
    for entry in _of_files(workspace_id):
        known = found.get(entry.erasure_id)
        if known is None or known.threads < entry.threads:
            found[entry.erasure_id] = entry
    return sorted(found.values(), key=lambda entry: (entry.at, entry.erasure_id))


def is_erased(*, thread: Any, known: Sequence[Entry]) -> bool:
    """Whether a thread that is to come back is of somebody who was erased."""
    return any(entry.has(thread) for entry in known)


def _of_table(workspace_id: UUID) -> Iterator[Entry]:
    rows = Erasure.objects.filter(workspace_id=workspace_id, confirmed_at__isnull=False)
    for each in rows.order_by("created_at"):
        assert each.confirmed_at is not None  # noqa: S101  by the filter
        threads = frozenset(UUID(text) for text in each.progress.get("threads", []))
        yield Entry(each.pk, workspace_id, each.confirmed_at, frozenset(each.digests), threads, each.key)


def _of_files(workspace_id: UUID) -> Iterator[Entry]:
    folder = f"{FOLDER}/{ids.encode(Workspace.PREFIX, workspace_id)}"
    for name in vault.names_in(folder):
        with vault.read(f"{folder}/{name}") as file:
            read = json.loads(file.read(MAX_BYTES))
        yield Entry(
            ids.decode(Erasure.PREFIX, read["erasure"]),
            workspace_id,
            datetime.fromisoformat(read["at"]),
            frozenset(read["digests"]),
            frozenset(UUID(text) for text in read["threads"]),
            read.get("key", ""),
        )
