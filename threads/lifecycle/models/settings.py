from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models.functions import Now

from threadhub.lib import ids
from threadhub.workspaces.models import Workspace


class RetentionSettings(models.Model):
    """How a workspace's sweeps go. A workspace without a row has these defaults."""

    class Schedule(models.TextChoices):
        DAILY = "daily"
        WEEKLY = "weekly"  # in the night to Monday
        BY_HAND = "by_hand"  # the worker sweeps nothing, also not the trash

    workspace = models.OneToOneField(Workspace, on_delete=models.CASCADE, primary_key=True, related_name="+")
    schedule = models.CharField(
        max_length=16, choices=Schedule.choices, default=Schedule.DAILY, db_default=Schedule.DAILY
    )
    scheduled_since = models.DateTimeField(null=True, editable=False)  # when it was changed: it has no night before
    time_zone = models.CharField(max_length=64, default="UTC")  # IANA name: whose night the sweep is in
    trash_days = models.PositiveIntegerField(default=0, validators=[MaxValueValidator(3650)])  # 0: no trash
    # The most threads that policies take of the workspace in a day; null: all that are due.
    daily_cap = models.PositiveIntegerField(null=True, blank=True, validators=[MinValueValidator(1)])
    # What they took so far, and since which hour of the night.
    capped_since = models.DateTimeField(null=True, editable=False)
    taken_since = models.PositiveIntegerField(default=0, db_default=0, editable=False)
    # A sweep that would take more than this share of the workspace's threads stops before it starts.
    brake_percent = models.PositiveIntegerField(default=50, validators=[MinValueValidator(1), MaxValueValidator(100)])
    grace_hours = models.PositiveIntegerField(default=24, validators=[MaxValueValidator(24 * 90)])
    updated_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        ordering = ["workspace"]
        verbose_name_plural = "retention settings"
        constraints = [
            models.CheckConstraint(
                condition=models.Q(schedule__in=["daily", "weekly", "by_hand"]), name="retention_schedule_known"
            )
        ]

    def __str__(self) -> str:
        return f"retention settings of {self.workspace_id}"

    @property
    def wire_id(self) -> str:
        """Of its workspace: there is one for each."""
        return ids.encode(Workspace.PREFIX, self.workspace_id)
