"""Between which moments some threads were last spoken in, and what they take up."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self
from uuid import UUID

from django.db import connection

# Each by the index on its thread. Of an archived one: the bytes of its frames in the bundle.
SIZES = """
SELECT part.thread_id, coalesce(sum(part.size), 0)::bigint
  FROM (SELECT thread_id, octet_length(content) AS size FROM threads_message
         WHERE workspace_id = %(workspace)s AND thread_id = ANY(%(threads)s)
         UNION ALL
        SELECT thread_id, size FROM threads_attachment
         WHERE workspace_id = %(workspace)s AND thread_id = ANY(%(threads)s)
         UNION ALL
        SELECT thread_id, (frame ->> 1)::bigint
          FROM threads_bundledthread CROSS JOIN LATERAL jsonb_array_elements(frames) AS frame
         WHERE workspace_id = %(workspace)s AND thread_id = ANY(%(threads)s)) AS part
 GROUP BY part.thread_id
"""


@dataclass(slots=True)
class Extent:
    """Of some threads the first and the last of their last messages (of one without: its making), and their bytes:
    messages' text and files, and of what is archived its part of the bundle, packed and without the files."""

    size: int = 0
    oldest: datetime | None = None
    newest: datetime | None = None

    def reach(self, active: datetime | None) -> None:
        """A thread is one of them that was last spoken in then."""
        if active is not None:
            self.oldest = active if self.oldest is None else min(self.oldest, active)
            self.newest = active if self.newest is None else max(self.newest, active)

    def cover(self, other: "Extent") -> None:
        """Another one's threads are among them."""
        self.size += other.size
        self.oldest = min((each for each in (self.oldest, other.oldest) if each), default=None)
        self.newest = max((each for each in (self.newest, other.newest) if each), default=None)

    def as_list(self) -> list[Any]:
        """As JSON, short: there is one for each agent."""
        ends = (self.oldest, self.newest)
        return [self.size, *(each.isoformat() if each else None for each in ends)]

    @classmethod
    def of_list(cls, kept: Sequence[Any]) -> Self:
        """As `as_list` wrote it."""
        size, *ends = kept
        oldest, newest = (datetime.fromisoformat(each) if each else None for each in ends)
        return cls(size, oldest, newest)


def sizes(*, workspace_id: UUID, thread_ids: Sequence[UUID]) -> list[tuple[UUID, int]]:
    """The bytes of each of these threads that has any."""
    with connection.cursor() as cursor:
        cursor.execute(SIZES, {"workspace": workspace_id, "threads": list(thread_ids)})
        return [(thread_id, int(size)) for thread_id, size in cursor.fetchall()]
