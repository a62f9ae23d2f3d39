"""`manage.py export_threads`: threads of a workspace as one zip file."""

import os
import tempfile
from pathlib import Path
from typing import Any
from uuid import UUID

from django.core.management.base import CommandParser

from threadhub import audit
from threadhub.management.lifecycle import LifecycleCommand, an_id
from threadhub.workspaces import actor as actors
from threadhub.workspaces.models import Workspace
from threads.lifecycle.bundles import vault
from threads.lifecycle.exporting import container, exports
from threads.models import Thread


class Command(LifecycleCommand):
    help = (
        "Export threads of a workspace: JSON lines as in the archive (importable), HTML, Markdown or CSV, with files."
    )

    def add_own(self, parser: CommandParser) -> None:
        self.add_whose(parser)
        parser.add_argument("--thread", type=an_id(Thread.PREFIX), metavar="ID", help="Only this thread.")
        self.add_target(parser)

    def add_target(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--to", type=Path, metavar="FILE", required=True, help="The zip file; must not be there yet."
        )
        parser.add_argument("--format", choices=container.FORMATS, default="jsonl")

    def run(self, *, as_json: bool, to: Path, format: str, **options: Any) -> None:
        workspace_id = self.workspace(options["workspace"])
        threads = exports.select(
            workspace_id=workspace_id,
            agent_id=options["agent"],
            user_id=options["user"],
            external_ref=options["external_ref"],
            thread_id=options["thread"],
        )
        self.write(workspace_id, threads, to, format, as_json)

    def workspace(self, workspace: UUID | None) -> UUID:
        if workspace is None or not Workspace.objects.filter(pk=workspace).exists():
            self.misused("Say of which workspace: --workspace ID.")
        return workspace

    def write(self, workspace_id: UUID, threads: list[UUID], to: Path, format: str, as_json: bool) -> None:
        if to.exists() or not to.parent.is_dir():
            self.misused(f"{to} is there already, or its folder is not.")
        count = self._make(workspace_id, threads, to, format)
        audit.record(
            actor=actors.system(workspace_id),
            action="export.make",
            ids=[],
            details={"threads": count, "format": format},
        )
        self.tell({"threads": count, "file": str(to), "bytes": to.stat().st_size}, as_json=as_json)

    def _make(self, workspace_id: UUID, threads: list[UUID], to: Path, format: str) -> int:
        """Under a name of its own until it is whole and on the disk: several may be made at once."""
        descriptor, name = tempfile.mkstemp(dir=to.parent, prefix=f".{to.name}.", suffix=".partial")
        partial = Path(name)
        try:
            with os.fdopen(descriptor, "wb") as out:
                count = container.write(out=out, workspace_id=workspace_id, thread_ids=threads, format=format)
                out.flush()
                os.fsync(out.fileno())
            try:
                os.link(partial, to)  # of two that end at once, one has the name; and nobody sees half of it
            except FileExistsError:
                self.misused(f"{to} is there already.")
        finally:
            partial.unlink(missing_ok=True)
        vault.sync_directory(to.parent)
        return count
