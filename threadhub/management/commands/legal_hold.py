"""`manage.py legal_hold place|release|list`."""

from typing import Any
from uuid import UUID

from django.core.management.base import CommandParser
from django.db import transaction

from threadhub.agents.models import Agent
from threadhub.lib import ids, json
from threadhub.management.lifecycle import LifecycleCommand, an_id
from threadhub.workspaces import actor as actors
from threadhub.workspaces.actor import Actor
from threadhub.workspaces.models import User, Workspace
from threads.lifecycle import candidates, holds
from threads.models import Hold, Thread


class Command(LifecycleCommand):
    help = "Place a legal hold on a workspace, or on a thread, an agent, a user or a reference in it; release it; list."

    def add_own(self, parser: CommandParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="Say what would be done; change nothing.")
        parser.add_argument("what", choices=["place", "release", "list"])
        parser.add_argument("--workspace", type=an_id(Workspace.PREFIX), metavar="ID", required=True)
        parser.add_argument(
            "--reason", metavar="TEXT", help="Why it is placed, or released, for whoever finds it later."
        )
        parser.add_argument("--hold", type=an_id(Hold.PREFIX), metavar="ID", help="Which hold to release.")
        on = parser.add_mutually_exclusive_group()
        on.add_argument("--thread", type=an_id(Thread.PREFIX), metavar="ID")
        on.add_argument("--agent", type=an_id(Agent.PREFIX), metavar="ID")
        on.add_argument("--user", type=an_id(User.PREFIX), metavar="ID")
        on.add_argument("--external-ref", metavar="TEXT")

    def run(self, *, what: str, workspace: UUID, as_json: bool, dry_run: bool, **options: Any) -> None:
        self.known(workspace)
        actor = actors.system(workspace)
        if what == "list":
            for hold in holds.visible(actor=actor).filter(released_at__isnull=True):
                self.tell(told(hold), as_json=as_json)
            return
        with transaction.atomic():
            done = self._release(actor, **options) if what == "release" else self._place(actor, **options)
            transaction.set_rollback(dry_run)
        self.tell({**told(done), **({"dry_run": True} if dry_run else {})}, as_json=as_json)

    def _release(self, actor: Actor, *, hold: UUID | None, reason: str | None, **options: Any) -> Hold:
        if hold is None:
            self.misused("Say which hold: --hold ID.")
        found = holds.get(actor=actor, hold_id=hold)
        return holds.release(actor=actor, hold=found, now=candidates.database_now(), reason=reason or "")

    def _place(self, actor: Actor, *, reason: str | None, **options: Any) -> Hold:
        if not reason:
            self.misused("A hold needs a --reason.")
        scope, target = self._scope(**options)
        return holds.place(
            actor=actor,
            scope=scope,
            reason=reason,
            now=candidates.database_now(),
            target_id=target,
            external_ref=options["external_ref"],
        )

    @staticmethod
    def _scope(
        *, thread: UUID | None, agent: UUID | None, user: UUID | None, external_ref: str | None, **_: Any
    ) -> Any:
        for scope, target in (("thread", thread), ("agent", agent), ("user", user)):
            if target is not None:
                return scope, target
        return ("external_ref" if external_ref is not None else "workspace"), None


def told(hold: Hold) -> dict[str, Any]:
    prefix = {"thread": Thread.PREFIX, "agent": Agent.PREFIX, "user": User.PREFIX}.get(hold.scope)
    return {
        "id": hold.wire_id,
        "scope": hold.scope,
        "target": ids.encode(prefix, hold.target_id) if prefix and hold.target_id else hold.external_ref,
        "reason": hold.reason,
        "placed_by": hold.placed_by,
        "placed_at": json.timestamp(hold.placed_at),
        "released_at": json.timestamp(hold.released_at) if hold.released_at else None,
        "release_reason": hold.release_reason or None,
    }
