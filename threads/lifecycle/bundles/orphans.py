"""Files in the archive that nothing needs: left by a crash, or of bundles whose threads are all gone elsewhere.

Listing an archive may take minutes, and somebody may write a bundle meanwhile: a retry of what crashed writes under the
orphan's own name. So each file is looked at again before it goes, under the lock under which bundles are written.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import monotonic
from uuid import UUID

from django.db import connection, transaction

from threadhub.lib import ids
from threadhub.workspaces.models import Workspace
from threads.lifecycle.bundles import adoption, archive, vault
from threads.models import Bundle, BundledThread

OLD = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Orphan:
    """A path in the archive, and whether it may go now. `dead`: the catalogue says that it is not needed any more."""

    path: str
    dead: bool
    old: bool

    @property
    def may_go(self) -> bool:
        return self.dead or self.old


def find(*, now: datetime, workspace_id: UUID | None = None) -> Iterator[Orphan]:
    """Every unreferenced bundle, or those of a workspace; partial files, which name none, only where all are meant."""
    of = ids.encode(Workspace.PREFIX, workspace_id) if workspace_id else ""
    for path, modified in vault.every_path(of):
        orphan = _bundle(path, modified, now)
        if orphan is not None:
            yield orphan
    for partial in vault.partial_files() if workspace_id is None else ():
        orphan = _partial(partial, now)
        if orphan is not None:
            yield orphan


def collect(
    *,
    now: datetime,
    dry_run: bool = False,
    workspace_id: UUID | None = None,
    limit: int | None = None,
    max_seconds: float | None = None,
) -> tuple[list[str], list[str]]:
    """Remove the orphans that may go, so many at most; returns their paths, and those of the younger ones that stay."""
    until = monotonic() + max_seconds if max_seconds is not None else None
    found = list(find(now=now, workspace_id=workspace_id))
    if not dry_run and _adopt([orphan for orphan in found if orphan.may_go], now):
        found = list(find(now=now, workspace_id=workspace_id))  # what was written again may have an orphan's very name
    gone: list[str] = []
    for orphan in (each for each in found if each.may_go):
        if (limit is not None and len(gone) >= limit) or (until is not None and monotonic() >= until):
            break
        if dry_run or remove(orphan, now=now):
            gone.append(orphan.path)
    return gone, [orphan.path for orphan in found if not orphan.may_go]


def remove(orphan: Orphan, *, now: datetime) -> bool:
    """Remove an orphan's files, if it is one still; returns whether. Bundles of the workspace get their names before
    this or after it: what was written again before is in the catalogue by then, or young."""
    if orphan.path.startswith(vault.PARTIAL):
        return _remove_partial(orphan.path, now)
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute(archive.CHAIN_LOCK, [str(_workspace(orphan.path))])
        modified = vault.modified_at(orphan.path)
        again = _bundle(orphan.path, modified, now) if modified is not None else None
        if again is None or not again.may_go:
            return False
        vault.remove(orphan.path)
    return True


def _bundle(path: str, modified: datetime, now: datetime) -> Orphan | None:
    """A bundle's file as an orphan; None where the catalogue needs it: it is in force, or a thread still names it."""
    bundle = Bundle.objects.filter(path=path).order_by("-number").first()
    if bundle is None:
        return Orphan(path, dead=False, old=now - modified >= OLD)
    needed = BundledThread.objects.filter(bundle_id=bundle.pk, workspace_id=bundle.workspace_id)
    if bundle.removed_at is None or needed.exists():
        return None
    return Orphan(path, dead=bundle.superseded_by is not None, old=now - modified >= OLD)


def _partial(partial: Path, now: datetime) -> Orphan | None:
    try:
        modified = datetime.fromtimestamp(partial.stat().st_mtime, UTC)
    except FileNotFoundError:  # its writer is through
        return None
    return Orphan(partial.name, dead=False, old=now - modified >= OLD)


def _remove_partial(name: str, now: datetime) -> bool:
    root = vault.local_root()
    again = _partial(root / name, now) if root is not None else None
    if root is None or again is None or not again.old:
        return False
    (root / name).unlink(missing_ok=True)
    return True


def _adopt(going: Sequence[Orphan], now: datetime) -> int:
    """Nothing goes that an older catalogue still needs (adoption.py). Returns how many threads were found again."""
    adopted = 0
    for workspace_id in sorted({_workspace(each.path) for each in going if not each.path.startswith(vault.PARTIAL)}):
        if Workspace.objects.filter(pk=workspace_id).exists():
            adopted += adoption.adopt(workspace_id=workspace_id, now=now)
    return adopted


def _workspace(path: str) -> UUID:
    return ids.decode(Workspace.PREFIX, path.partition("/")[0])
