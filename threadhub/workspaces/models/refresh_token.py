from django.conf import settings
from django.db import models
from django.db.models.functions import Now

from threadhub.lib import ids
from threadhub.workspaces.models.workspace import Workspace


class RefreshToken(models.Model):
    """Renews a signed-in user's access token, once. Only its digest is kept."""

    id = models.UUIDField(primary_key=True, default=ids.new, editable=False)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="refresh_tokens")
    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, null=True, related_name="+")
    sign_in_id = models.UUIDField(db_index=True)  # one per sign-in; tokens that replace each other share it
    digest = models.BinaryField(max_length=32, unique=True)
    created_at = models.DateTimeField(db_default=Now())
    expires_at = models.DateTimeField(db_index=True)
    used_at = models.DateTimeField(null=True)
    revoked_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-created_at", "-id"]

    def __str__(self) -> str:
        return f"{self.user} until {self.expires_at:%Y-%m-%d}"
