from __future__ import annotations

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

    def before(self, position: int) -> MessageQuerySet:
        return self.filter(position__lt=position)
