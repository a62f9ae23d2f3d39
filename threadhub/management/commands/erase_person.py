"""`manage.py erase_person`: everything of one person, for ever, with a certificate."""

import sys
from collections.abc import Sequence
from threading import Event
from typing import Any
from uuid import UUID

from django.core.management.base import CommandParser

from chat_sessions.models import ChatSession
from threadhub.lib import ids
from threadhub.lib.errors import DomainError
from threadhub.management.lifecycle import FAILED, NOT_VERIFIED, Ended, LifecycleCommand, an_id
from threadhub.workspaces import actor as actors
from threadhub.workspaces.models import User, Workspace
from threads.lifecycle import candidates, failures, sweeper
from threads.lifecycle.erasure import erasures, proof, replay
from threads.lifecycle.erasure.people import Kind
from threads.models import Erasure

SUBJECTS: tuple[Kind, ...] = ("user", "end_user", "external_ref", "session")


class Command(LifecycleCommand):
    help = (
        "Erase a person: list what there is with --dry-run, then again with the --code of exactly that list. Nothing,"
        " --yes neither, stands for the code; at a terminal it is asked for."
        " --resume goes on with what crashed, was blocked or was ended by SIGTERM; --replay erases again what a"
        " restored backup brought back."
    )
    asks = "Erase this person for ever?"
    stop: Event

    def add_own(self, parser: CommandParser) -> None:
        parser.add_argument("--workspace", type=an_id(Workspace.PREFIX), metavar="ID", help="The person's workspace.")
        subject = parser.add_mutually_exclusive_group()
        subject.add_argument(
            "--user", type=an_id(User.PREFIX), metavar="ID", help="A user, also an end user's user_id."
        )
        subject.add_argument("--end-user", metavar="TEXT", help="An end user, by the product's reference.")
        subject.add_argument("--external-ref", metavar="TEXT", help="Whoever has this reference.")
        subject.add_argument("--session", type=an_id(ChatSession.PREFIX), metavar="ID", help="A session's visitor.")
        subject.add_argument("--resume", action="store_true", help="Go on with unfinished erasures.")
        subject.add_argument("--replay", action="store_true", help="Erase again what came back with a backup.")
        subject.add_argument("--certificate", type=an_id(Erasure.PREFIX), metavar="ID", help="Show a certificate.")
        parser.add_argument("--code", metavar="CODE", help="The code of the list that --dry-run showed.")

    def run(self, *, as_json: bool, workspace: UUID | None, resume: bool, replay: bool, **options: Any) -> None:
        self.stop = Event()
        if resume:
            with sweeper.stopping_on_signals(self.stop):
                self._resume(workspace, as_json, options["dry_run"])
        elif replay:
            with sweeper.stopping_on_signals(self.stop):
                self._replay(workspace, as_json, options["dry_run"])
        elif options["certificate"] is not None:
            self._show(Erasure.objects.filter(pk=options["certificate"]).first(), as_json)
        else:
            self._erase(workspace, as_json, **options)

    def _erase(self, workspace: UUID | None, as_json: bool, **options: Any) -> None:
        kind, value = self._subject(**options)
        if workspace is None or not Workspace.objects.filter(pk=workspace).exists():
            self.misused("Say in which workspace: --workspace ID.")
        if not (options["code"] or options["dry_run"] or sys.stdin.isatty()):
            self.misused("Nobody is there to type the code: run it with --dry-run, then again with --code CODE.")
        actor = actors.system(workspace)
        _, found = erasures.look(actor=actor, kind=kind, value=value)
        code = erasures.code_of(workspace, found.hash)
        if not options["code"]:
            self.tell({"subject": kind, **found.as_json(), "code": code}, as_json=as_json)
        if options["dry_run"]:
            return
        typed = options["code"] or self._ask()
        now = candidates.database_now()
        with sweeper.stopping_on_signals(self.stop):
            planned = erasures.plan(actor=actor, kind=kind, value=value, now=now)
            erasures.confirm(actor=actor, erasure=planned, code=typed, now=now)
            self._proceed(workspace, planned.pk, as_json)

    def _proceed(self, workspace_id: UUID, erasure_id: UUID, as_json: bool) -> None:
        erasure = erasures.proceed(workspace_id=workspace_id, erasure_id=erasure_id, stop=self.stop)
        self._show(erasure, as_json)
        if erasure.state != Erasure.State.DONE:
            raise Ended("It was stopped before its end: --resume goes on with it.", FAILED)

    def _subject(self, **options: Any) -> tuple[Kind, Any]:
        named = [kind for kind in SUBJECTS if options[kind] is not None]
        if named:
            return named[0], options[named[0]]
        return self.misused("Say whom: --user, --end-user, --external-ref or --session; or --resume, --replay.")

    def _ask(self) -> str:
        self.stderr.write(f"{self.asks} Type the code: ", ending="")
        return input()

    def _resume(self, workspace: UUID | None, as_json: bool, dry_run: bool) -> None:
        unfinished = [each for each in erasures.unfinished() if workspace in (None, each[0])]
        if dry_run:
            for _, erasure_id in unfinished:
                self._show(Erasure.objects.get(pk=erasure_id), as_json)
        else:
            self._proceed_all(unfinished, as_json)

    def _replay(self, workspace: UUID | None, as_json: bool, dry_run: bool) -> None:
        begun: list[tuple[UUID, UUID]] = []
        faults: list[str] = []
        for selection in self.selections(workspace=workspace):
            workspace_id = selection.workspace_id
            if dry_run:
                for entry, _ in replay.find(workspace_id=workspace_id):
                    self.tell({"erased_at": entry.at.isoformat(), "threads": len(entry.threads)}, as_json=as_json)
                continue
            try:
                again, refused = replay.begin(workspace_id=workspace_id, now=candidates.database_now())
            except (DomainError, OSError) as error:
                faults.append(f"{ids.encode(Workspace.PREFIX, workspace_id)}: {failures.sentence(error)}")
            else:
                begun += [(workspace_id, each.pk) for each in again]
                faults += refused
        self._proceed_all(begun, as_json, faults)

    def _proceed_all(self, begun: list[tuple[UUID, UUID]], as_json: bool, faults: Sequence[str] = ()) -> None:
        """One after the other; who is blocked does not keep the others waiting."""
        told, code = list(faults), FAILED
        for number, (workspace_id, erasure_id) in enumerate(begun):
            if self.stop.is_set():
                told.append(f"{len(begun) - number} were not gone on with.")
                break
            try:
                self._proceed(workspace_id, erasure_id, as_json)
            except (DomainError, OSError) as error:
                told.append(f"{ids.encode(Erasure.PREFIX, erasure_id)}: {failures.sentence(error)}")
            except Ended as error:  # stopped, or its certificate is not as it was signed
                told.append(f"{ids.encode(Erasure.PREFIX, erasure_id)}: {error}")
                code = max(code, error.returncode)
        if told:
            raise Ended("Not all is erased: " + " ".join(told), code)

    def _show(self, erasure: Erasure | None, as_json: bool) -> None:
        if erasure is None:
            raise Ended("There is no such erasure.", FAILED)
        if erasure.certificate is None:
            self.tell({"erasure": erasure.wire_id, "state": erasure.state}, as_json=as_json)
            return
        if not proof.is_genuine(erasure):
            raise Ended("The certificate is not as it was signed.", NOT_VERIFIED)
        self.tell({**erasure.certificate, "signature": erasure.signature}, as_json=as_json)
