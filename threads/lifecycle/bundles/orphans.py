"""Files in the archive that nothing needs: left by a crash, or of bundles whose threads are all gone elsewhere."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from threadhub.lib import ids
from threadhub.workspaces.models import Workspace
from threads.lifecycle.bundles import adoption, vault
from threads.models import Bundle

OLD = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Orphan:
    """A path in the archive, and whether it may go now. `dead`: the catalogue says that it is not needed any more."""

    path: str
    dead: bool
    old: bool


def find(*, now: datetime) -> Iterator[Orphan]:
    """Every unreferenced bundle and partial file."""
    for path, modified in vault.every_path():
        bundle = Bundle.objects.filter(path=path).order_by("-number").first()
        if bundle is None or bundle.removed_at is not None:
            superseded = bundle is not None and bundle.superseded_by is not None
            yield Orphan(path, dead=superseded, old=now - modified >= OLD)
    for partial in vault.partial_files():
        modified = datetime.fromtimestamp(partial.stat().st_mtime, UTC)
        yield Orphan(partial.name, dead=False, old=now - modified >= OLD)


def collect(*, now: datetime, dry_run: bool = False) -> tuple[list[str], list[str]]:
    """Remove the orphans that may go; returns their paths, and those of the younger ones that stay."""
    found = list(find(now=now))
    going = [orphan for orphan in found if orphan.dead or orphan.old]
    if not dry_run:
        if _adopt(going, now):
            found = list(find(now=now))  # what was written again may have the very name of an orphan
            going = [orphan for orphan in found if orphan.dead or orphan.old]
        for orphan in going:
            remove(orphan)
    return [orphan.path for orphan in going], [orphan.path for orphan in found if orphan not in going]


def _adopt(going: Sequence[Orphan], now: datetime) -> int:
    """Nothing goes that an older catalogue still needs (adoption.py). Returns how many threads were found again."""
    adopted = 0
    names = {orphan.path.partition("/")[0] for orphan in going if not orphan.path.startswith(vault.PARTIAL)}
    for name in sorted(names):
        workspace_id = ids.decode(Workspace.PREFIX, name)
        if Workspace.objects.filter(pk=workspace_id).exists():
            adopted += adoption.adopt(workspace_id=workspace_id, now=now)
    return adopted


def remove(orphan: Orphan) -> None:
    """Remove an orphan's files."""
    if orphan.path.startswith(vault.PARTIAL):
        root = vault.local_root()
        if root is not None:
            (root / orphan.path).unlink(missing_ok=True)
        return
    vault.remove(orphan.path)
