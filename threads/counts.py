"""How many threads there are, without counting them: for the lists that are asked most.

Counters know a workspace's threads, and those of each agent, by state. They are part of the same transaction as what
they count (triggers on the table, whatever writes to it), so their sum is what a count at that moment would find. Lists
that are narrowed by anything else are counted, by the index that serves them.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from uuid import UUID

from django.db import connection

COUNTED = ("active", "archived")  # trashed ones and temporary ones are in no list
# By the primary key, from which at most two times 64 rows are read.
SUM = """
SELECT coalesce(sum(number), 0)::bigint FROM threads_threadcount
 WHERE workspace_id = %(workspace)s AND subject = %(subject)s AND state = ANY (%(states)s)
"""
# The same of several workspaces, each by the key.
SUMS = """
SELECT counter.state, sum(counter.number)::bigint
  FROM unnest(%(workspaces)s::uuid[]) AS own (id)
  JOIN threads_threadcount AS counter ON counter.workspace_id = own.id AND counter.subject = own.id
 WHERE counter.state = ANY (%(states)s)
 GROUP BY counter.state
"""


def by_state(*, workspaces: Sequence[UUID]) -> dict[str, int]:
    """How many active and how many archived threads these workspaces have together: {"active": 3, "archived": 0}."""
    with connection.cursor() as cursor:
        cursor.execute(SUMS, {"workspaces": list(workspaces), "states": list(COUNTED)})
        return {**dict.fromkeys(COUNTED, 0), **dict(cursor.fetchall())}


@dataclass(frozen=True, slots=True)
class Counted:
    """Which threads a queryset has, as long as it is narrowed by no more than `conditions`."""

    workspace_id: UUID
    agent_id: UUID | None = None
    states: Sequence[str] = COUNTED
    conditions: int = 0

    def of_agent(self, agent_id: UUID) -> "Counted | None":
        """Those of one agent; None where that was another one already."""
        return replace(self, agent_id=agent_id) if self.agent_id in (None, agent_id) else None

    def in_state(self, state: str) -> "Counted":
        return replace(self, states=[each for each in self.states if each == state])

    def number(self) -> int:
        """How many there are."""
        with connection.prepared_cursor() as cursor:  # type: ignore[attr-defined]  # isolation/backend
            subject = self.agent_id or self.workspace_id
            values = {"workspace": self.workspace_id, "subject": subject, "states": list(self.states)}
            cursor.execute(SUM, values)
            return int(cursor.fetchone()[0])
