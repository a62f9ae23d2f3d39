from typing import ClassVar

from django.db import models
from django.db.models.functions import Now

from threadhub.lib import ids
from threadhub.workspaces.models import Workspace


class Hold(models.Model):
    """Keeps threads from every loss until it is released: one thread, or all of an agent, a user, a reference or the
    workspace, later ones included. The database's triggers read this table (migration 0009)."""

    PREFIX: ClassVar[str] = "hold"

    class Scope(models.TextChoices):
        WORKSPACE = "workspace"
        AGENT = "agent"
        USER = "user"
        EXTERNAL_REF = "external_ref"
        THREAD = "thread"

    id = models.UUIDField(primary_key=True, default=ids.new, editable=False)
    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, related_name="+", db_index=False)
    scope = models.CharField(max_length=16, choices=Scope.choices)
    target_id = models.UUIDField(null=True, editable=False)
    external_ref = models.TextField(null=True, editable=False)
    reason = models.TextField()
    placed_by = models.CharField(max_length=64)  # as Actor.identity spells it
    placed_at = models.DateTimeField(db_default=Now(), editable=False)
    released_by = models.CharField(max_length=64, blank=True)
    released_at = models.DateTimeField(null=True, editable=False)
    release_reason = models.TextField(blank=True, default="", db_default="")
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        ordering = ["-created_at", "-id"]
        indexes = [
            models.Index("workspace", models.F("created_at").desc(), models.F("id").desc(), name="hold_newest"),
            models.Index(
                "workspace",
                "scope",
                "target_id",
                "external_ref",
                condition=models.Q(released_at__isnull=True),
                name="hold_in_force",
            ),
        ]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(scope="workspace", target_id__isnull=True, external_ref__isnull=True)
                | models.Q(scope="external_ref", target_id__isnull=True, external_ref__isnull=False)
                | models.Q(scope__in=["agent", "user", "thread"], target_id__isnull=False, external_ref__isnull=True),
                name="hold_scope_has_target",
            ),
        ]

    def __str__(self) -> str:
        return f"hold on {self.scope}"

    @property
    def wire_id(self) -> str:
        return ids.encode(self.PREFIX, self.id)

    @property
    def in_force(self) -> bool:
        return self.released_at is None
