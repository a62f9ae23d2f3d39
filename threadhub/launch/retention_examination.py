"""What `manage.py doctor` looks at of the archive and of the nightly sweeps: that what was archived is still there, and
that what is due goes. A sweep that never comes is as much a failure as one that takes too much."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from zoneinfo import ZoneInfoNotFoundError

from django.core.files.base import ContentFile

from threadhub.isolation.scope import Door, by_door
from threadhub.launch.finding import Finding
from threadhub.lib import ids
from threadhub.workspaces.models import Workspace
from threads.lifecycle import candidates, nightly, rules
from threads.lifecycle.bundles import manifest, vault
from threads.models import Bundle, RetentionPolicy, RetentionSettings, Sweep, SystemPolicy, Thread

LOOKED_AT = 1_000  # bundles: to ask an object store for each takes some milliseconds
NIGHT_TAKES = timedelta(hours=2)  # so long a night may be under way before it is missed
SHOWN = 3


def archive() -> Finding:
    """Writes, reads and removes a small file where bundles are kept."""
    content = b"threadhub doctor"
    try:
        storage, root = vault.storage(), vault.local_root()
        if root is not None:
            vault.make_directory(root)  # nobody else's to read
        name = storage.save(f"doctor-{ids.new()}", ContentFile(content))
        with storage.open(name, "rb") as file:
            same = file.read() == content
        storage.delete(name)
    except Exception as error:  # noqa: BLE001  any storage, so any error: it is what was looked for
        return Finding("archive", False, f"Bundles cannot be stored: {error}.")
    return Finding("archive", same, "Bundles can be stored." if same else "Bundles come back changed.")


@by_door(Door.EXAMINATION)
def bundles() -> Finding:
    """Whether the files of the newest bundles are there. What is in them `verify_archives` reads."""
    paths = Bundle.objects.filter(removed_at__isnull=True).order_by("-created_at", "-id").values_list("path", flat=True)
    names = (manifest.THREADS, manifest.MANIFEST)
    looked_at = list(paths[:LOOKED_AT])
    try:
        lost = [path for path in looked_at if not all(vault.exists(f"{path}/{name}") for name in names)]
    except Exception as error:  # noqa: BLE001  any storage, so any error, as in `archive`
        return Finding("bundles", False, f"The archive cannot be looked at: {error}.")
    if lost:
        sentence = f"{len(lost)} in the catalogue are not in the archive, such as {lost[0]}: run verify_archives."
        return Finding("bundles", False, sentence)
    newest = f"The newest {LOOKED_AT:,} are" if len(looked_at) == LOOKED_AT else "Every one of the catalogue is"
    return Finding("bundles", True, f"{newest} in the archive.")


@by_door(Door.EXAMINATION)
def sweeps() -> Finding:
    """Of every workspace in which something could be due: that its nights are not missed, and how the last ended."""
    said = list(_unswept(candidates.database_now()))
    if said:
        more = f" and {len(said) - SHOWN} more" if len(said) > SHOWN else ""
        return Finding("sweeps", False, f"{'; '.join(said[:SHOWN])}{more}.")
    return Finding("sweeps", True, "Retention is applied as it is scheduled, where there is any.")


def _unswept(now: datetime) -> Iterator[str]:
    for workspace in Workspace.objects.order_by("created_at", "id"):
        settings = rules.settings_of(workspace.pk)
        try:
            since = _two_nights_ago(settings, now)
        except (ZoneInfoNotFoundError, ValueError):
            fault: str | None = f"is not swept: this machine knows no time zone {settings.time_zone!r}"
        else:
            fault = _fault(workspace, settings, since)
        if fault is not None:
            yield f"{ids.encode(Workspace.PREFIX, workspace.pk)} {fault}"


def _two_nights_ago(settings: RetentionSettings, now: datetime) -> datetime | None:
    """When the night before the last began; None where no two nights were scheduled."""
    last = nightly.last_night(settings=settings, now=now - NIGHT_TAKES)
    return last and nightly.last_night(settings=settings, now=last - timedelta(microseconds=1))


def _fault(workspace: Workspace, settings: RetentionSettings, since: datetime | None) -> str | None:
    """`since`: two nights began since then. None: nobody has missed any."""
    whole = Sweep.objects.filter(workspace_id=workspace.pk, kind=Sweep.Kind.RETENTION, report__whole=True)
    last = whole.order_by("-number").first()
    if last is not None and last.report.get("ended") == "brake":
        return "was stopped by its brake: look at retention_plan, then use retention_apply --no-brake"
    if last is not None and last.report.get("failed"):
        return f"was not swept whole: {str(last.report['failed'][0]).rstrip('.')}"
    if since is None or not _could_be_due(workspace, since):
        return None
    if whole.filter(cutoff__gte=since).exclude(report__ended__in=nightly.UNFINISHED).exists():
        return None
    two = "two weekly nights" if settings.schedule == RetentionSettings.Schedule.WEEKLY else "two nights"
    return f"was not swept to its end for {two}: is a worker running, and what does it log?"


def _could_be_due(workspace: Workspace, since: datetime) -> bool:
    """Whether there was anything to apply then already."""
    acting = {"enabled": True, "acts_from__lte": since}
    own = RetentionPolicy.objects.filter(workspace_id=workspace.pk, **acting).exclude(action="retain")
    everywhere = SystemPolicy.objects.filter(**acting).exclude(action="retain")
    trashed = Thread.objects.filter(workspace_id=workspace.pk, state=Thread.State.TRASHED, purge_after__lte=since)
    return workspace.created_at <= since and (own.exists() or everywhere.exists() or trashed.exists())
