from typing import ClassVar

from django.db import models
from django.db.models.functions import Now

from threadhub.lib import ids
from threadhub.workspaces.models import Workspace


class Erasure(models.Model):
    """The erasure of one person: `planned → running → done`, or `blocked` by a hold that came meanwhile.

    Whom it is about stands sealed in `person` until it is done, and nowhere after that: `digests` are keyed, so that
    whoever has a value can ask whether it was erased, and nobody can read it out.
    """

    PREFIX: ClassVar[str] = "erasure"

    class State(models.TextChoices):
        PLANNED = "planned"
        RUNNING = "running"
        BLOCKED = "blocked"
        DONE = "done"

    id = models.UUIDField(primary_key=True, default=ids.new, editable=False)
    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, related_name="+", db_index=False)
    subject = models.CharField(max_length=16)  # user, end_user, external_ref or session
    state = models.CharField(max_length=16, choices=State.choices, default=State.PLANNED)
    person = models.BinaryField(null=True, editable=False)
    digests = models.JSONField(default=list)
    key = models.CharField(max_length=16, blank=True)  # name of the SECRET_KEY under which the digests were made
    plan = models.JSONField(default=dict)  # counts; no values
    plan_hash = models.CharField(max_length=64)  # of exactly what the plan lists
    progress = models.JSONField(default=dict)  # what went so far: counts, and ids of threads
    requested_by = models.CharField(max_length=64)
    confirmed_by = models.CharField(max_length=64, blank=True)
    confirmed_at = models.DateTimeField(null=True, editable=False)
    finished_at = models.DateTimeField(null=True, editable=False)
    certificate = models.JSONField(null=True, editable=False)
    signature = models.CharField(max_length=64, blank=True)  # HMAC over the certificate
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        ordering = ["-created_at", "-id"]
        indexes = [
            models.Index("workspace", models.F("created_at").desc(), models.F("id").desc(), name="erasure_newest"),
            models.Index("state", condition=models.Q(state__in=["running", "blocked"]), name="erasure_unfinished"),
        ]

    def __str__(self) -> str:
        return self.wire_id

    @property
    def wire_id(self) -> str:
        return ids.encode(self.PREFIX, self.id)
