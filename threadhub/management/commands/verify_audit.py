"""`manage.py verify_audit`: is the audit trail as it was written?"""

import json as json_module
import sys
from argparse import ArgumentTypeError
from pathlib import Path
from typing import Any
from uuid import UUID

from django.core.management.base import CommandError, CommandParser, OutputWrapper

from threadhub.audit import verifying
from threadhub.audit.recording import INSTALLATION
from threadhub.audit.verifying import Fault, Head, Verified
from threadhub.lib import ids
from threadhub.management.command import HubCommand
from threadhub.workspaces.models import Workspace

USAGE, FAILED = 2, 4
SHOWN = 100  # faults of one workspace; the rest is counted


class Command(HubCommand):
    only_looks = True
    help = (
        "Read the audit trail again and name every altered, removed or reordered record. "
        "Exit 0: all as written; 2: usage; 4: it is not."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--workspace", type=_workspace, metavar="ID", help="One workspace only, or `installation`.")
        parser.add_argument("--json", action="store_true", help="One line of JSON per workspace.")
        parser.add_argument(
            "--head",
            action="store_true",
            help="Print only the ends of the chains that hold, one line of JSON each, to be kept elsewhere.",
        )
        parser.add_argument("--against", metavar="FILE", help="Compare with lines that --head printed earlier.")

    def handle(
        self, *args: Any, workspace: UUID | None, json: bool, head: bool, against: str | None, **options: Any
    ) -> None:
        noted = _noted(against) if against else {}
        chosen = [workspace] if workspace else sorted({*verifying.workspaces(), *noted})
        failed = False
        for workspace_id in chosen:
            failed |= self._verify(workspace_id, noted.get(workspace_id, []), json=json, head=head)
        if failed:
            sys.exit(FAILED)
        if not (json or head):
            self.stdout.write(self.style.SUCCESS("The audit trail is as it was written."))

    def _verify(self, workspace_id: UUID, noted: list[Head], *, json: bool, head: bool) -> bool:
        """Verify one chain and say how it is; returns whether something is wrong."""
        faults: list[Fault] = []
        total = 0
        read = Verified(workspace_id)
        for found in verifying.verify(workspace_id=workspace_id, noted=noted):
            if isinstance(found, Verified):
                read = found
                continue
            total += 1
            if total <= SHOWN:
                faults.append(found)
        if head and not total:
            self.stdout.write(json_module.dumps(_as_head(read)))
        elif json:
            rows = [{"kind": each.kind, "seq": each.seq, "id": _id(each), "detail": each.sentence} for each in faults]
            self.stdout.write(
                json_module.dumps(
                    {
                        **_as_head(read),
                        "events": read.events,
                        "masked": read.masked,
                        "late": read.late,
                        "faults": total,
                        "found": rows,
                    }
                )
            )
        else:
            # What --head writes is kept, and read again by --against: of a chain that does not hold it has no line.
            self._tell(self.stderr if head else self.stdout, read, faults, total)
        return bool(total)

    def _tell(self, out: OutputWrapper, read: Verified, faults: list[Fault], total: int) -> None:
        masked = f", {read.masked} of them with masked values" if read.masked else ""
        out.write(f"{_name(read.workspace_id)}: {read.events} events{masked}, {total or 'no'} faults")
        if read.late:
            late = f"{read.late} events had waited for more than a minute to be linked: is a worker running?"
            out.write(self.style.WARNING(f"  {'late':<11} {late}"))
        for fault in faults:
            out.write(self.style.ERROR(f"  {fault.kind:<11} {fault.sentence}"))
        if total > len(faults):
            out.write(f"  and {total - len(faults)} more")


def _name(workspace_id: UUID) -> str:
    return "installation" if workspace_id == INSTALLATION else ids.encode(Workspace.PREFIX, workspace_id)


def _id(fault: Fault) -> str | None:
    return ids.encode("auditevent", fault.event_id) if fault.event_id else None


def _as_head(read: Verified) -> dict[str, Any]:
    return {"workspace": _name(read.workspace_id), "seq": read.seq, "hash": read.hash.hex()}


def _workspace(text: str) -> UUID:
    if text == "installation":
        return INSTALLATION
    try:
        return ids.decode(Workspace.PREFIX, text)
    except ids.InvalidId as error:
        raise ArgumentTypeError("this is not the id of a workspace, nor `installation`") from error


def _noted(path: str) -> dict[UUID, list[Head]]:
    """The ends that were noted earlier, any number per workspace. Raises CommandError (exit 2)."""
    noted: dict[UUID, list[Head]] = {}
    try:
        for line in Path(path).read_text().splitlines():
            row = json_module.loads(line)
            end = Head(int(row["seq"]), bytes.fromhex(row["hash"]))
            noted.setdefault(_workspace(row["workspace"]), []).append(end)
    except (OSError, ValueError, KeyError, TypeError, ArgumentTypeError) as error:
        raise CommandError(f"{path} holds no lines of --head: {error}", returncode=USAGE) from error
    return noted
