from typing import ClassVar

from django.db import models
from django.db.models.functions import Now

from threadhub.lib import ids
from threadhub.workspaces.models import Workspace


class Sweep(models.Model):
    """The report of one sweep of a workspace. `digest` is over the report and the digest of the sweep before, so that
    an altered or missing report shows."""

    PREFIX: ClassVar[str] = "sweep"

    class Kind(models.TextChoices):
        RETENTION = "retention"
        ARCHIVE = "archive"
        TRASH = "trash"
        RESTORE = "restore"

    id = models.UUIDField(primary_key=True, default=ids.new, editable=False)
    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, related_name="+", db_index=False)
    number = models.IntegerField()  # from 1 in each workspace
    kind = models.CharField(max_length=16, choices=Kind.choices)
    cutoff = models.DateTimeField()
    finished_at = models.DateTimeField(db_default=Now(), editable=False)
    report = models.JSONField(default=dict)
    previous = models.CharField(max_length=64, blank=True)
    digest = models.CharField(max_length=64)
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        ordering = ["workspace", "-number"]
        constraints = [models.UniqueConstraint(fields=["workspace", "number"], name="sweep_number_once")]

    def __str__(self) -> str:
        return f"{self.kind} sweep {self.number}"

    @property
    def wire_id(self) -> str:
        return ids.encode(self.PREFIX, self.id)
