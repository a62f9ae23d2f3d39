from typing import Any, ClassVar

from django.db import models
from django.db.models.functions import Now

from threadhub.lib import ids


class AskedWork(models.Model):
    """What somebody asked of the worker, how far it is, and how it ended."""

    class Status(models.TextChoices):
        QUEUED = "queued", "Waiting"
        RUNNING = "running", "Going on"
        DONE = "done", "Done"
        FAILED = "failed", "Failed"

    LIVE: ClassVar[tuple[str, ...]] = ("queued", "running")

    id = models.UUIDField(primary_key=True, default=ids.new, editable=False)
    status = models.CharField(max_length=16, choices=Status.choices, default=Status.QUEUED)
    cutoff = models.DateTimeField()  # of the plan that was confirmed, or is counted
    plan = models.JSONField(default=dict)  # as it was confirmed; of a count, as it was found (kept_plan.py)
    planned = models.IntegerField(default=0)  # threads
    done = models.IntegerField(default=0)  # threads
    asked_by = models.CharField(max_length=64)  # as Actor.identity spells it
    stop_asked = models.BooleanField(default=False)
    ended = models.CharField(max_length=16, blank=True)  # done, cap, brake, stopped, changed, faults
    error = models.TextField(blank=True)
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    started_at = models.DateTimeField(null=True, editable=False)
    finished_at = models.DateTimeField(null=True, editable=False)

    class Meta:
        abstract = True

    @property
    def live(self) -> bool:
        return self.status in self.LIVE

    def as_json(self) -> dict[str, Any]:
        """How far it is, for whoever watches."""
        return {"status": self.status, "done": self.done, "planned": self.planned, "ended": self.ended}
