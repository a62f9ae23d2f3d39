from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from django.db import models

if TYPE_CHECKING:
    from threads.models import Run, Thread  # noqa: F401  named in a string


class RunQuerySet(models.QuerySet["Run"]):
    def of_thread(self, thread: Thread) -> RunQuerySet:
        """The runs of one thread, newest first."""
        return self.filter(thread_id=thread.id, workspace_id=thread.workspace_id).order_by("-number")

    def live(self) -> RunQuerySet:
        """Queued or running."""
        return self.filter(status__in=("queued", "running"))

    def lost(self, now: datetime) -> RunQuerySet:
        """Live, but nobody renewed the lease: the worker is gone. A run that waits for its turn has no lease."""
        return self.live().filter(lease_expires_at__lt=now)
