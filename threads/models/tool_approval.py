from typing import Any, ClassVar

from django.db import models
from django.db.models.functions import Now

from threadhub.agents.models import Tool
from threadhub.lib import ids, json
from threads.models.run import Run
from threads.models.thread import Thread


class ToolApproval(models.Model):
    """A call of a tool that a person must approve before it is made: `pending → approved | refused | expired | void`.

    It is good for exactly these arguments of exactly this tool, and for one call.
    """

    PREFIX: ClassVar[str] = "approval"

    class Status(models.TextChoices):
        PENDING = "pending"
        APPROVED = "approved"
        REFUSED = "refused"
        EXPIRED = "expired"  # nobody decided in time: a refusal
        VOID = "void"  # there is nothing to decide any more: cancelled, or the thread went on without it

    id = models.UUIDField(primary_key=True, default=ids.new, editable=False)
    workspace = models.ForeignKey(
        "workspaces.Workspace", on_delete=models.DO_NOTHING, db_constraint=False, db_index=False, related_name="+"
    )
    thread = models.ForeignKey(
        Thread, on_delete=models.DO_NOTHING, db_constraint=False, db_index=False, related_name="approvals"
    )
    run = models.ForeignKey(
        Run, on_delete=models.DO_NOTHING, db_constraint=False, db_index=False, related_name="approvals"
    )
    tool = models.ForeignKey(
        Tool, on_delete=models.DO_NOTHING, db_constraint=False, null=True, related_name="approvals"
    )
    tool_name = models.CharField(max_length=64)
    tool_digest = models.BinaryField(max_length=32)  # of the tool's definition, as it was when the model asked
    tool_call_id = models.TextField()
    arguments = models.TextField()  # JSON with sorted keys, byte for byte what the digest is over
    arguments_digest = models.BinaryField(max_length=32)
    status = models.CharField(max_length=16, choices=Status.choices, default=Status.PENDING)
    created_at = models.DateTimeField(db_default=Now(), editable=False)  # when the model asked
    expires_at = models.DateTimeField()
    decided_at = models.DateTimeField(null=True, editable=False)
    decided_by = models.CharField(max_length=64, blank=True)  # user:… or key:…, as Actor.identity spells it
    reason = models.TextField(blank=True)
    called_at = models.DateTimeField(null=True, editable=False)  # taken by a worker, for the one call

    class Meta:
        ordering = ["-created_at", "-id"]
        indexes = [
            models.Index("workspace", models.F("created_at").desc(), models.F("id").desc(), name="approval_newest"),
            models.Index("expires_at", condition=models.Q(status="pending"), name="approval_pending"),
            models.Index("thread", name="approval_by_thread"),
        ]
        constraints = [
            models.UniqueConstraint(fields=["run", "tool_call_id", "workspace"], name="approval_once_per_call"),
            models.CheckConstraint(
                condition=models.Q(status__in=["pending", "approved", "refused", "expired", "void"]),
                name="approval_status_known",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.tool_name} ({self.status})"

    @property
    def wire_id(self) -> str:
        return ids.encode(self.PREFIX, self.id)

    @property
    def arguments_read(self) -> dict[str, Any]:
        """The arguments as an object."""
        read: dict[str, Any] = json.loads(self.arguments.encode())
        return read
