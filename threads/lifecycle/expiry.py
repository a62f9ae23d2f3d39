"""What a thread's owner is told of its life: held or not, which policy, when. Nothing is asked per thread: a
workspace's policies and holds are read once, and the resolver does the rest."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any
from uuid import UUID

import orjson
from django.db import connection

from threads.lifecycle import holds, resolver
from threads.lifecycle.resolver import Facts, Rule

# Four small lookups by workspace; most workspaces have a handful of rows in all of them together.
IN_FORCE = """
SELECT workspace_id, scope, to_jsonb(policy)::text FROM threads_retentionpolicy AS policy
 WHERE workspace_id = ANY (%(workspaces)s) AND (enabled OR (action = 'retain' AND acts_from > %(now)s))
UNION ALL
SELECT NULL, 'system', to_jsonb(policy)::text FROM threads_systempolicy AS policy
 WHERE enabled OR (action = 'retain' AND acts_from > %(now)s)
UNION ALL
SELECT workspace_id, 'hold', to_jsonb(hold)::text FROM threads_hold AS hold
 WHERE workspace_id = ANY (%(workspaces)s) AND released_at IS NULL
UNION ALL
SELECT workspace_id, 'settings', to_jsonb(settings)::text FROM threads_retentionsettings AS settings
 WHERE workspace_id = ANY (%(workspaces)s)
"""
# The same of one workspace, `[[kind, row], …]` in one value, for statements that read something else besides.
IN_FORCE_OF_ONE = """(
    SELECT json_agg(json_build_array(rule.kind, rule.row))::text FROM (
        SELECT scope AS kind, to_jsonb(policy) AS row FROM threads_retentionpolicy AS policy
         WHERE workspace_id = %(workspace)s AND (enabled OR (action = 'retain' AND acts_from > %(now)s))
        UNION ALL
        SELECT 'system', to_jsonb(policy) FROM threads_systempolicy AS policy
         WHERE enabled OR (action = 'retain' AND acts_from > %(now)s)
        UNION ALL
        SELECT 'hold', to_jsonb(hold) FROM threads_hold AS hold
         WHERE workspace_id = %(workspace)s AND released_at IS NULL
        UNION ALL
        SELECT 'settings', to_jsonb(settings) FROM threads_retentionsettings AS settings
         WHERE workspace_id = %(workspace)s) AS rule)"""


SMALL = 65_536  # characters: what is in force of most workspaces, and remembered as it was read
REMEMBERED = 256  # workspaces, or states of one

Row = tuple[str, dict[str, Any]]


@dataclass(frozen=True, slots=True)
class InForce:
    """A workspace's policies and holds, the installation's too, as they are asked about many threads."""

    rules: tuple[Rule, ...]
    trash_on: bool
    cover: holds.Cover

    @classmethod
    def of(cls, rows: Iterable[Row]) -> "InForce":
        """`rows`: kind, and the row as JSON has it."""
        rules: list[Rule] = []
        trash_on = False
        holding: list[tuple[str, UUID | None, str | None]] = []
        for kind, row in rows:
            if kind == "hold":
                holding.append((row["scope"], _uuid(row["target_id"]), row["external_ref"]))
            elif kind == "settings":
                trash_on = row["trash_days"] > 0
            else:
                rules.append(_rule(kind, row))
        return cls(tuple(rules), trash_on, holds.Cover(holding))


def read_from(text: str | None) -> InForce | None:
    """Of the value of IN_FORCE_OF_ONE; None: nothing is in force. The same text is parsed once."""
    if text is None:
        return None
    return _remembered(text) if len(text) <= SMALL else _parsed(text)


def _parsed(text: str) -> InForce:
    return InForce.of((kind, row) for kind, row in orjson.loads(text))


_remembered = lru_cache(maxsize=REMEMBERED)(_parsed)


@dataclass(frozen=True, slots=True)
class Outlook:
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
        self.in_force = known if known is not None else _in_force([workspace_id], now)[workspace_id]

    @classmethod
    def of_workspaces(cls, workspace_ids: Iterable[UUID], *, now: datetime) -> dict[UUID, "Expiry"]:
        """Those of several workspaces, by one query."""
        found = _in_force(list(workspace_ids), now)
        return {pk: cls(workspace_id=pk, now=now, known=known) for pk, known in found.items()}

    def of(self, thread: Any) -> Outlook:
        """What is to be told of a thread, or of a row with the same names."""
        if self.in_force.cover.covers(thread):
            return HELD
        decision = resolver.resolve(facts(thread), self.in_force.rules, now=self.now, trash_on=self.in_force.trash_on)
        rule = decision.rule
        return Outlook(False, decision.at, rule, rule.action if rule else None)


def _in_force(workspace_ids: list[UUID], now: datetime) -> dict[UUID, InForce]:
    """Of each workspace its own and the system's."""
    with connection.cursor() as cursor:
        cursor.execute(IN_FORCE, {"workspaces": workspace_ids, "now": now})
        rows = [(pk, kind, json.loads(row)) for pk, kind, row in cursor.fetchall()]
    return {each: InForce.of((kind, row) for pk, kind, row in rows if pk in (each, None)) for each in workspace_ids}


def _rule(level: str, row: dict[str, Any]) -> Rule:
    """As `rules.rule` makes it from the policy's object."""
    acts_from = row["acts_from"] if row["action"] != "retain" else None
    return Rule(
        id=UUID(row["id"]),
        level=level,
        action=row["action"],
        counted_from=row["counted_from"],
        days=row["days"],
        target_id=_uuid(row.get("target_id")),
        external_ref_prefix=row["external_ref_prefix"],
        metadata=row["metadata"],
        origin=row["origin"],
        acts_from=datetime.fromisoformat(acts_from) if acts_from else None,
        name=row["name"],
    )


def _uuid(text: str | None) -> UUID | None:
    return UUID(text) if text else None


def facts(thread: Any, **more: Any) -> Facts:
    """A thread's row as the resolver's facts; a run in progress only postpones, and is not looked at here."""
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
        metadata=thread.metadata,
        origin=thread.origin,
        pinned=thread.pinned,
        exempt_until=thread.exempt_until,
        **more,
    )
