"""What a thread's owner is told of its life: held or not, which policy, when. Nothing is asked per thread: a
workspace's policies and holds are read once, and the resolver does the rest."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from threads.lifecycle import in_force, resolver
from threads.lifecycle.in_force import InForce
from threads.lifecycle.resolver import Facts, Rule


class Outlook(NamedTuple):
    """`at`: when the policy will act as things stand; None: never."""

    held: bool
    at: datetime | None
    rule: Rule | None
    action: str | None


HELD = Outlook(held=True, at=None, rule=None, action=None)


class Expiry:
    """The policies and holds of one workspace at one moment: one query."""

    def __init__(self, *, workspace_id: UUID, now: datetime, known: InForce | None = None) -> None:
        """`known`: what was read already, of this workspace and of the system."""
        self.now = now
        self.in_force = known if known is not None else in_force.of_workspaces([workspace_id], now)[workspace_id]

    @classmethod
    def of_workspaces(cls, workspace_ids: Iterable[UUID], *, now: datetime) -> dict[UUID, "Expiry"]:
        """Those of several workspaces, by one query."""
        found = in_force.of_workspaces(list(workspace_ids), now)
        return {pk: cls(workspace_id=pk, now=now, known=known) for pk, known in found.items()}

    def of(self, thread: Any) -> Outlook:
        """What is to be told of a thread, or of a row with the same names."""
        return HELD if self.in_force.cover.covers(thread) else self._outlook(self._facts(thread))

    def and_until(self, thread: Any) -> tuple[Outlook, datetime | None]:
        """The same, and until when it is told if nothing is written; None: for ever."""
        if self.in_force.cover.covers(thread):
            return HELD, None
        known = self._facts(thread)
        return self._outlook(known), resolver.steady_until(known, self.in_force.rules, now=self.now)

    def _facts(self, thread: Any) -> Facts:
        return facts(thread, metadata=thread.metadata if self.in_force.by_metadata else None)

    def _outlook(self, known: Facts) -> Outlook:
        decision = resolver.resolve(known, self.in_force.rules, now=self.now, trash_on=self.in_force.trash_on)
        rule = decision.rule
        return Outlook(False, decision.at, rule, rule.action if rule else None)


def facts(thread: Any, *, metadata: Any) -> Facts:
    """A thread's row as the resolver's facts; a run in progress only postpones, and is not looked at here. `metadata`:
    the thread's, where a rule asks for some."""
    return Facts(
        id=thread.id,
        agent_id=thread.agent_id,
        state=thread.state,
        created_at=thread.created_at,
        last_activity_at=thread.last_activity_at,
        archived_at=thread.archived_at,
        trashed_at=thread.trashed_at,
        purge_after=thread.purge_after,
        external_ref=thread.external_ref,
        metadata=metadata,
        origin=thread.origin,
        pinned=thread.pinned,
        exempt_until=thread.exempt_until,
    )
