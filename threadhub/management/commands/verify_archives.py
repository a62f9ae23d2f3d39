"""`manage.py verify_archives`: re-read every bundle."""

from typing import Any

from django.core.management.base import CommandParser

from threadhub.lib import ids
from threadhub.management.lifecycle import NOT_VERIFIED, Ended, LifecycleCommand
from threadhub.workspaces.models import Workspace
from threads.lifecycle.bundles import audit_trail


class Command(LifecycleCommand):
    only_looks = True
    help = "Read all bundles again: hashes, counts, the chain of manifests, the catalogue, the sweeps' reports."

    def add_own(self, parser: CommandParser) -> None:
        self.add_workspace(parser)

    def run(self, *, as_json: bool, **options: Any) -> None:
        faults = 0
        for selection in self.selections(**options):
            found = audit_trail.verify(workspace_id=selection.workspace_id)
            workspace = ids.encode(Workspace.PREFIX, selection.workspace_id)
            self.tell({"workspace": workspace, **found.as_json()}, as_json=as_json)
            faults += len(found.faults)
        if faults:
            raise Ended(f"{faults} faults were found.", NOT_VERIFIED)
