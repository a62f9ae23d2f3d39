from typing import ClassVar

from django.db import models
from django.db.models.functions import Now

from threadhub.lib import ids
from threadhub.workspaces.models import Workspace


class Tombstone(models.Model):
    """What is left of a purged thread: that it was, when and why it went; no content and nobody's reference in clear.

    `evidence` is a SHA-256 over the thread's id, times and counts; `external_ref_digest` an HMAC, by which whoever has
    the reference can find out, and nobody else.
    """

    PREFIX: ClassVar[str] = "thread"  # of the thread that it was

    class Reason(models.TextChoices):
        POLICY = "policy"
        TRASH = "trash"  # its time in the trash was over
        CLIENT = "client"
        COMMAND = "command"
        ERASURE = "erasure"

    thread_id = models.UUIDField(primary_key=True)
    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, related_name="+", db_index=False)
    reason = models.CharField(max_length=16, choices=Reason.choices)
    policy_id = models.UUIDField(null=True)
    purged_by = models.CharField(max_length=64)
    purged_at = models.DateTimeField(db_default=Now(), editable=False)
    agent_id = models.UUIDField()
    external_ref_digest = models.CharField(max_length=64, blank=True)
    state = models.CharField(max_length=16)  # that it was purged from
    message_count = models.IntegerField()
    attachment_count = models.IntegerField()
    evidence = models.CharField(max_length=64)

    class Meta:
        ordering = ["workspace", "-purged_at", "thread_id"]
        indexes = [models.Index("workspace", models.F("purged_at").desc(), "thread_id", name="tombstone_newest")]

    def __str__(self) -> str:
        return f"tombstone of {self.thread_id}"

    @property
    def wire_id(self) -> str:
        return ids.encode(self.PREFIX, self.thread_id)
