from typing import Any, ClassVar

from django.db import models
from django.db.models.functions import Now

from threadhub.lib import ids
from threadhub.workspaces.models import Workspace


class RetentionJob(models.Model):
    """What somebody asked the worker to do with a workspace's threads or bundles, how far it is, and how it ended."""

    PREFIX: ClassVar[str] = "retention_job"

    class Kind(models.TextChoices):
        APPLY = "apply", "Apply the policies"
        RESTORE = "restore", "Restore a bundle's threads"
        VERIFY = "verify", "Verify a bundle"
        COUNT = "count", "Count what is due"  # changes nothing; so it waits for none of the others

    class Status(models.TextChoices):
        QUEUED = "queued", "Waiting"
        RUNNING = "running", "Going on"
        DONE = "done", "Done"
        FAILED = "failed", "Failed"

    LIVE: ClassVar[tuple[str, ...]] = ("queued", "running")

    id = models.UUIDField(primary_key=True, default=ids.new, editable=False)
    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, related_name="+", db_index=False)
    kind = models.CharField(max_length=16, choices=Kind.choices)
    status = models.CharField(max_length=16, choices=Status.choices, default=Status.QUEUED)
    cutoff = models.DateTimeField()  # of the plan that was confirmed, or is counted
    plan = models.JSONField(default=dict)  # as it was confirmed; of a count, as it was found (kept_plan.py)
    planned = models.IntegerField(default=0)  # threads
    done = models.IntegerField(default=0)  # threads
    over_brake = models.BooleanField(default=False)
    bundle_id = models.UUIDField(null=True, editable=False)
    policy_id = models.UUIDField(null=True, editable=False)  # of a count: as if this one were in force
    asked_by = models.CharField(max_length=64)  # as Actor.identity spells it
    stop_asked = models.BooleanField(default=False)
    ended = models.CharField(max_length=16, blank=True)  # done, cap, brake, stopped, changed, faults
    error = models.TextField(blank=True)
    reports = models.JSONField(default=list)  # of its parts; a long job is done in several
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    started_at = models.DateTimeField(null=True, editable=False)
    finished_at = models.DateTimeField(null=True, editable=False)

    class Meta:
        ordering = ["-created_at", "-id"]
        indexes = [
            models.Index("workspace", models.F("created_at").desc(), models.F("id").desc(), name="retention_job_newest")
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["workspace"],
                condition=models.Q(status__in=["queued", "running"]) & ~models.Q(kind="count"),
                name="retention_job_one_at_a_time",
            ),
            models.UniqueConstraint(
                fields=["workspace", "policy_id"],
                condition=models.Q(status__in=["queued", "running"], kind="count"),
                nulls_distinct=False,
                name="retention_count_one_at_a_time",
            ),
        ]

    def __str__(self) -> str:
        return str(self.get_kind_display())

    @classmethod
    def changing(cls) -> models.QuerySet["RetentionJob"]:
        """Those that wait or go on, and change something: one in a workspace."""
        return cls.objects.filter(status__in=cls.LIVE).exclude(kind=cls.Kind.COUNT)

    @property
    def wire_id(self) -> str:
        return ids.encode(self.PREFIX, self.id)

    @property
    def live(self) -> bool:
        return self.status in self.LIVE

    def as_json(self) -> dict[str, Any]:
        """How far it is, for whoever watches."""
        return {"status": self.status, "done": self.done, "planned": self.planned, "ended": self.ended}
