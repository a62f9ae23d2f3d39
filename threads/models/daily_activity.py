from django.db import models

from threadhub.agents.models import Agent
from threadhub.lib import ids
from threadhub.workspaces.models import Workspace


class DailyActivity(models.Model):
    """What came to an agent on a day (UTC), counted anew every few minutes (threads/activity.py). It outlives what it
    counts, and knows nothing of it but the number."""

    id = models.UUIDField(primary_key=True, default=ids.new, editable=False)
    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, related_name="+", db_index=False)
    agent = models.ForeignKey(Agent, on_delete=models.CASCADE, db_constraint=False, db_index=False, related_name="+")
    day = models.DateField()
    threads = models.BigIntegerField(default=0)  # begun
    messages = models.BigIntegerField(default=0)
    answers = models.BigIntegerField(default=0)  # runs asked on that day that came to an answer
    failures = models.BigIntegerField(default=0)  # and those that failed, or that nobody took
    times = models.JSONField(default=dict)  # {bucket: answers}; threads/activity.py has the bounds
    faults = models.JSONField(default=dict)  # {"provider/code": failures}

    class Meta:
        verbose_name_plural = "daily activity"
        ordering = ["-day", "id"]
        indexes = [models.Index("day", name="daily_activity_by_day")]
        constraints = [models.UniqueConstraint(fields=["workspace", "agent", "day"], name="daily_activity_once")]

    def __str__(self) -> str:
        return f"{self.agent}, {self.day}"
