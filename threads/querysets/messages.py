from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from django.db import models

from threads.path import Path, on_path

if TYPE_CHECKING:
    from threads.models import Message, Thread  # noqa: F401  named in a string


class MessageQuerySet(models.QuerySet["Message"]):
    def of_thread(self, thread: Thread) -> MessageQuerySet:
        """The messages of one thread, on its active branch, oldest first."""
        return self.of_all_branches(thread).on(thread.path)

    def of_all_branches(self, thread: Thread) -> MessageQuerySet:
        """Every message of one thread, in the order of writing, also those that its active branch does not have."""
        return self.filter(thread_id=thread.id, workspace_id=thread.workspace_id).order_by("position")

    def on(self, path: Path | None) -> MessageQuerySet:
        """On the path of a branch; None: of a thread that was never forked.

        Said by what is left out: of `path @> position` PostgreSQL believes that one row in 200 meets it, and would
        rather sort a long thread than read the end of it from the index on (thread, position).
        """
        messages = self
        if path is None:
            return messages
        if path.last is not None:
            messages = messages.filter(position__lte=path.last)
        return messages.exclude(on_path(path.gaps)) if path.gaps.ranges else messages

    def after(self, position: int) -> MessageQuerySet:
        return self.filter(position__gt=position)

    def outside(self, ranges: Sequence[tuple[int, int]]) -> MessageQuerySet:
        """Without the positions of these ranges, both ends included."""
        messages = self
        for first, last in ranges:
            messages = messages.exclude(position__gte=first, position__lte=last)
        return messages

    def before(self, position: int) -> MessageQuerySet:
        return self.filter(position__lt=position)
