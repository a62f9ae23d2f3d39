from django.conf import settings
from django.db import models
from django.db.models.functions import Now

from threadhub.lib import ids
from threadhub.workspaces.models.workspace import Workspace
from threadhub.workspaces.permissions import Role


class Membership(models.Model):
    """A user's place in a workspace."""

    id = models.UUIDField(primary_key=True, default=ids.new, editable=False)
    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, related_name="memberships")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="memberships")
    role = models.CharField(max_length=16, choices=[(role.value, role.value) for role in Role])
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        ordering = ["workspace", "created_at", "id"]
        constraints = [
            models.UniqueConstraint(fields=["workspace", "user"], name="membership_once_per_user"),
            models.CheckConstraint(
                condition=models.Q(role__in=[role.value for role in Role]), name="membership_role_known"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.user} ({self.role})"
