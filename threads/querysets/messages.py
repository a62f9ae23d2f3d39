from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from django.db import models

if TYPE_CHECKING:
    from threads.models import Message, Thread  # noqa: F401  named in a string


class MessageQuerySet(models.QuerySet["Message"]):
    def of_thread(self, thread: Thread) -> MessageQuerySet:
        """The messages of one thread, oldest first."""
        return self.filter(thread_id=thread.id, workspace_id=thread.workspace_id).order_by("position")

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
