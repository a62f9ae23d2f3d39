from typing import ClassVar

from django.db import models
from django.db.models.functions import Now

from threadhub.lib import ids
from threadhub.workspaces.models import Workspace


class Export(models.Model):
    """A file of threads, made by a worker for somebody who asked: `queued → done | failed`, gone when it expires.

    `selection` says of what by ids only; a reference stands in it sealed.
    """

    PREFIX: ClassVar[str] = "export"

    class State(models.TextChoices):
        QUEUED = "queued"
        DONE = "done"
        FAILED = "failed"

    id = models.UUIDField(primary_key=True, default=ids.new, editable=False)
    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, related_name="+", db_index=False)
    state = models.CharField(max_length=16, choices=State.choices, default=State.QUEUED)
    format = models.CharField(max_length=16)
    selection = models.JSONField(default=dict)
    requested_by = models.CharField(max_length=64)
    file = models.TextField(blank=True)  # in the attachments' storage
    size = models.BigIntegerField(null=True)  # bytes
    sha256 = models.CharField(max_length=64, blank=True)
    threads = models.IntegerField(null=True)
    error_code = models.CharField(max_length=64, blank=True)
    expires_at = models.DateTimeField()
    finished_at = models.DateTimeField(null=True, editable=False)
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        ordering = ["-created_at", "-id"]
        indexes = [
            models.Index("workspace", models.F("created_at").desc(), models.F("id").desc(), name="export_newest"),
            models.Index("expires_at", name="export_expiring"),
        ]

    def __str__(self) -> str:
        return self.wire_id

    @property
    def wire_id(self) -> str:
        return ids.encode(self.PREFIX, self.id)
