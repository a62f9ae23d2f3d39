from typing import ClassVar

from django.conf import settings
from django.db import models
from django.db.models.functions import Now

from threadhub.lib import ids
from threadhub.workspaces.models.workspace import Workspace
from threadhub.workspaces.permissions import Role


class Invitation(models.Model):
    """A place in a workspace, for who has its token and is called `invitee`. Of the token only a digest is kept."""

    PREFIX: ClassVar[str] = "invitation"

    id = models.UUIDField(primary_key=True, default=ids.new, editable=False)
    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, related_name="invitations", db_index=False)
    invitee = models.CharField(max_length=254)  # a username or an e-mail address; there may be no such account (yet)
    role = models.CharField(max_length=16, choices=[(role.value, role.value) for role in Role])
    invited_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, null=True, related_name="+")
    digest = models.BinaryField(max_length=32, unique=True, editable=False)
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    expires_at = models.DateTimeField()

    class Meta:
        ordering = ["-created_at", "-id"]
        indexes = [
            models.Index("workspace", models.F("created_at").desc(), models.F("id").desc(), name="invitation_newest")
        ]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(role__in=[role.value for role in Role]), name="invitation_role_known"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.invitee} ({self.role})"

    @property
    def wire_id(self) -> str:
        return ids.encode(self.PREFIX, self.id)
