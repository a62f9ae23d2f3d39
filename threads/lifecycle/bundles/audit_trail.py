"""All that is claimed about a workspace's archive, proved again: every bundle, the chain of their manifests, the
catalogue on both sides, and the chain of the sweeps' reports."""

from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from threadhub.lib import ids
from threadhub.workspaces.models import Workspace
from threads.lifecycle import reports
from threads.lifecycle.bundles import verify as bundles
from threads.models import Bundle, BundledThread, Thread


@dataclass(slots=True)
class Verified:
    """What was read, and each fault as a sentence."""

    bundles: int = 0
    threads: int = 0
    messages: int = 0
    faults: list[str] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        return {"bundles": self.bundles, "threads": self.threads, "messages": self.messages, "faults": self.faults}


def verify(*, workspace_id: UUID) -> Verified:
    """Re-read all of a workspace's archive."""
    found = Verified()
    previous = ""
    for bundle in Bundle.objects.filter(workspace_id=workspace_id).order_by("number").iterator():
        if bundle.previous != previous:
            found.faults.append(f"Before bundle {bundle.number} one is missing or another stands there.")
        previous = bundle.manifest_sha256
        if bundle.removed_at is None:
            verify_bundle(bundle=bundle, found=found)
    lost = Thread.objects.filter(workspace_id=workspace_id, bundle_id__isnull=False).exclude(
        pk__in=BundledThread.objects.filter(workspace_id=workspace_id).values("thread_id")
    )
    found.faults += [f"{thread.wire_id} is archived, but the catalogue does not know where." for thread in lost]
    found.faults += [
        f"The report of sweep {n} was altered, or one before it." for n in reports.broken(workspace_id=workspace_id)
    ]
    return found


def verify_bundle(*, bundle: Bundle, found: Verified) -> None:
    """Re-read one bundle; what was read and what is wrong is added to `found`."""
    workspace = ids.encode(Workspace.PREFIX, bundle.workspace_id)
    try:
        checked = bundles.whole(path=bundle.path, workspace=workspace)
    except bundles.Damaged as error:
        found.faults.append(error.message)
        return
    found.bundles += 1
    found.threads += len(checked.threads)
    found.messages += checked.messages
    if (checked.manifest_sha256, checked.previous) != (bundle.manifest_sha256, bundle.previous):
        found.faults.append(f"The manifest of {bundle.path} is not the one that was written.")
    entries = BundledThread.objects.filter(workspace_id=bundle.workspace_id, bundle_id=bundle.id)
    for thread_id, sha256 in entries.values_list("thread_id", "sha256"):
        if checked.threads.get(thread_id) != sha256:
            found.faults.append(
                f"{ids.encode(Thread.PREFIX, thread_id)} is not in {bundle.path} as the catalogue has it."
            )
