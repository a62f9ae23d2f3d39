"""How many threads there are, without counting them: for the lists that are asked most.

Counters know a workspace's threads, and those of each agent, by state. They are part of the same transaction as what
they count (triggers on the table, whatever writes to it), so their sum is what a count at that moment would find. Lists
that are narrowed by anything else are counted, by the index that serves them; of a list between two moments what is
outside, unless that is more.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from django.db import connection

COUNTED = ("active", "archived")  # trashed ones and temporary ones are in no list
# By the primary key, from which at most two times 64 rows are read.
SUM = """
SELECT coalesce(sum(number), 0)::bigint FROM threads_threadcount
 WHERE workspace_id = %(workspace)s AND subject = %(subject)s AND state = ANY (%(states)s)
"""
# The same between two moments, in one snapshot: those inside, or where these are more than a part of all, all without
# those outside.
PART = 8
BETWEEN = """
WITH counted AS MATERIALIZED (SELECT ({sum}) AS number),
inside AS MATERIALIZED (
    SELECT count(*) AS number FROM ({inside} LIMIT (SELECT number / %(part)s + 1 FROM counted)) AS found
)
SELECT CASE WHEN inside.number <= counted.number / %(part)s THEN inside.number
            ELSE counted.number - (SELECT count(*) FROM ({outside}) AS found) END
  FROM counted, inside
"""
SOME = "SELECT 1 FROM threads_thread WHERE workspace_id = %(workspace)s {agent} AND state = ANY (%(states)s) AND {when}"
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
    first: datetime | None = None  # created then or later
    last: datetime | None = None  # created before; or then, too
    including: bool = False
    conditions: int = 0

    def of_agent(self, agent_id: UUID) -> "Counted | None":
        """Those of one agent; None where that was another one already."""
        return replace(self, agent_id=agent_id) if self.agent_id in (None, agent_id) else None

    def in_state(self, state: str) -> "Counted":
        return replace(self, states=[each for each in self.states if each == state])

    def between(
        self, *, first: datetime | None = None, last: datetime | None = None, including: bool = False
    ) -> "Counted | None":
        """Those created from `first` on, or before `last`; None where that end was named already."""
        if (first and self.first) or (last and self.last):
            return None
        return replace(
            self, first=first or self.first, last=last or self.last, including=including if last else self.including
        )

    def number(self) -> int:
        """How many there are."""
        values = {
            "workspace": self.workspace_id,
            "subject": self.agent_id or self.workspace_id,
            "states": list(self.states),
            "first": self.first,
            "last": self.last,
            "part": PART,
        }
        with connection.prepared_cursor() as cursor:  # type: ignore[attr-defined]  # isolation/backend
            cursor.execute(self._sql(), values)
            return int(cursor.fetchone()[0])

    def _sql(self) -> str:
        before, after = "created_at < %(first)s", f"created_at {'>' if self.including else '>='} %(last)s"
        ends = [end for end, moment in ((before, self.first), (after, self.last)) if moment]
        if not ends:
            return SUM
        agent = "AND agent_id = %(subject)s" if self.agent_id else ""
        outside = " UNION ALL ".join(SOME.format(agent=agent, when=end) for end in ends)
        within = " AND ".join(f"NOT {end}" for end in ends)
        inside = SOME.format(agent=agent, when=within)
        return BETWEEN.format(sum=SUM, outside=outside, inside=inside)
