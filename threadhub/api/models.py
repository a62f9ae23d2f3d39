from django.db import models
from django.db.models.functions import Now

from threadhub.lib import ids
from threadhub.workspaces.models import Workspace


class IdempotencyRecord(models.Model):
    """What a POST with an `Idempotency-Key` did: the answer it had, or the run it started.

    Written in the transaction of the request itself, so there is never an effect without its record.
    """

    id = models.UUIDField(primary_key=True, default=ids.new, editable=False)
    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, related_name="+", db_index=False)
    caller = models.CharField(max_length=128)  # the key, user or session: one's answer is not for another
    route = models.BinaryField(max_length=32)  # SHA-256 of method and path
    key = models.CharField(max_length=255)
    body_digest = models.BinaryField(max_length=32)
    status = models.PositiveSmallIntegerField(null=True)
    location = models.TextField(blank=True)
    answer = models.BinaryField(null=True)  # the JSON that was sent; null where a run answers
    run_id = models.UUIDField(null=True)
    asked = models.PositiveIntegerField(default=0)  # how often the key has come; tells its last request from the others
    created_at = models.DateTimeField(db_default=Now(), db_index=True)

    class Meta:
        ordering = ["-created_at", "-id"]
        constraints = [models.UniqueConstraint(fields=["workspace", "caller", "route", "key"], name="idempotency_once")]

    def __str__(self) -> str:
        return self.key
