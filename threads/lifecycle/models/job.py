from typing import ClassVar

from django.db import models

from threadhub.lib import ids
from threadhub.workspaces.models import Workspace
from threads.lifecycle.models.asked_work import AskedWork


class RetentionJob(AskedWork):
    """What somebody asked the worker to do with a workspace's threads or bundles."""

    PREFIX: ClassVar[str] = "retention_job"

    class Kind(models.TextChoices):
        APPLY = "apply", "Apply the policies"
        RESTORE = "restore", "Restore a bundle's threads"
        VERIFY = "verify", "Verify a bundle"
        COUNT = "count", "Count what is due"  # changes nothing; so it waits for none of the others

    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, related_name="+", db_index=False)
    kind = models.CharField(max_length=16, choices=Kind.choices)
    over_brake = models.BooleanField(default=False)
    bundle_id = models.UUIDField(null=True, editable=False)
    policy_id = models.UUIDField(null=True, editable=False)  # of a count: as if this one were in force
    reports = models.JSONField(default=list)  # of its parts; a long job is done in several

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
