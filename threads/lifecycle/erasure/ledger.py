"""Who was erased, in a form that says nothing of them: kept in the database and beside the archive, so that a database
restored from an older backup is told what it must forget again.

One file per erasure, `erasures/<workspace>/<erasure>.json` in the archive's storage. What is older than the erasure and
known under one of its hashes or ids is a person's who was erased; what came later is a new acquaintance.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.models import QuerySet

from threadhub.lib import ids
from threadhub.lib.errors import Conflict, Failed
from threadhub.workspaces.models import Workspace
from threads.lifecycle.bundles import vault
from threads.lifecycle.erasure.people import digests_of_thread
from threads.models import Erasure, Thread


class PersonErased(Conflict):
    """Somebody who was erased is in it; it does not come back."""

    code = "person_erased"


class LedgerDamaged(Failed):
    """A file of the ledger of erasures cannot be read; put it back from a backup of the archive."""

    code = "ledger_damaged"


FORMAT = "threadhub-erasures/1"
FOLDER = "erasures"
AGAIN = "ledger"  # subject of an erasure that is done once more, in a database from before it
ASKED = ("workspace_id", "created_at", "user_id", "chat_session_id", "agent_id", "external_ref")  # of a thread
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


class Erased:
    """All who were erased in a workspace, to be asked about many threads: each costs a look-up and, where anybody was
    erased at all, the hashes of what it names."""

    def __init__(self, known: Iterable[Entry]) -> None:
        self.threads: set[UUID] = set()
        self.until: dict[str, datetime] = {}  # by digest; what came after that is a new acquaintance
        for entry in known:
            self.threads |= entry.threads
            for digest in entry.digests:
                self.until[digest] = max(entry.at, self.until.get(digest, entry.at))

    def has(self, thread: Any) -> bool:
        """Whether this thread is of somebody who was erased. Of the thread only ASKED is looked at."""
        if thread.pk in self.threads:
            return True
        if not self.until:
            return False
        found = (self.until.get(digest) for digest in digests_of_thread(thread))
        return any(at is not None and thread.created_at <= at for at in found)


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
    """All of a workspace, from its table and its files: a database may be older than its files. What the table knows
    as done is not read again."""
    found = {each.erasure_id: each for each in _of_table(workspace_id)}
    for entry in _of_files(workspace_id, but=_done(workspace_id)):
        known = found.get(entry.erasure_id)
        if known is None or known.threads < entry.threads:
            found[entry.erasure_id] = entry
    return sorted(found.values(), key=lambda entry: (entry.at, entry.erasure_id))


def erased(*, workspace_id: UUID) -> Erased:
    """Who must not come back. Read once for all that is to come. Raises OSError, StoreUnavailable."""
    return Erased(entries(workspace_id=workspace_id))


def asked_for(*, workspace_id: UUID, thread_ids: Sequence[UUID]) -> set[UUID]:
    """Which of these threads are of somebody whose erasure is under way. One that a hold blocks may last for years:
    meanwhile policies go on."""
    under_way = list(_confirmed(workspace_id, states=(Erasure.State.RUNNING,)).defer("progress"))
    if not under_way:
        return set()
    # What one has destroyed, which may be very much, is not there to be asked about; what one destroys again may be.
    known = Erased(_of_row(each, threads=_listed(each) if each.subject == AGAIN else frozenset()) for each in under_way)
    threads = Thread.objects.filter(workspace_id=workspace_id, pk__in=list(thread_ids)).only(*ASKED)
    return {thread.pk for thread in threads if known.has(thread)}


def _done(workspace_id: UUID) -> set[UUID]:
    rows = Erasure.objects.filter(workspace_id=workspace_id, state=Erasure.State.DONE)
    return set(rows.values_list("pk", flat=True))


def _confirmed(workspace_id: UUID, *, states: Sequence[str] = tuple(Erasure.State)) -> QuerySet[Erasure]:
    rows = Erasure.objects.filter(workspace_id=workspace_id, confirmed_at__isnull=False, state__in=states)
    return rows.order_by("created_at")


def _of_table(workspace_id: UUID) -> Iterator[Entry]:
    for each in _confirmed(workspace_id):
        yield _of_row(each, threads=_listed(each))


def _listed(erasure: Erasure) -> frozenset[UUID]:
    return frozenset(UUID(text) for text in erasure.progress.get("threads", []))


def _of_row(erasure: Erasure, *, threads: frozenset[UUID]) -> Entry:
    assert erasure.confirmed_at is not None  # noqa: S101  only of those that are
    digests = frozenset(erasure.digests)
    return Entry(erasure.pk, erasure.workspace_id, erasure.confirmed_at, digests, threads, erasure.key)


def _of_files(workspace_id: UUID, *, but: AbstractSet[UUID]) -> Iterator[Entry]:
    folder = f"{FOLDER}/{ids.encode(Workspace.PREFIX, workspace_id)}"
    for name in vault.names_in(folder):
        erasure_id = _named(name)
        if erasure_id is None or erasure_id in but:
            continue
        with vault.read(f"{folder}/{name}") as file:
            text = file.read(MAX_BYTES)
        try:
            yield _entry(workspace_id, erasure_id, json.loads(text))
        except (ValueError, KeyError, TypeError) as error:
            raise LedgerDamaged(f"The ledger of erasures cannot be read: {folder}/{name}.") from error


def _entry(workspace_id: UUID, erasure_id: UUID, read: dict[str, Any]) -> Entry:
    return Entry(
        erasure_id,
        workspace_id,
        datetime.fromisoformat(read["at"]),
        frozenset(read["digests"]),
        frozenset(UUID(text) for text in read["threads"]),
        read.get("key", ""),
    )


def _named(name: str) -> UUID | None:
    """The erasure of a file; None where somebody else put it there."""
    stem, _, ending = name.partition(".")
    try:
        return ids.decode(Erasure.PREFIX, stem) if ending == "json" else None
    except ids.InvalidId:
        return None
