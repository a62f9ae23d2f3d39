from typing import ClassVar

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models.functions import Now

from threadhub.lib import ids
from threadhub.workspaces.models.workspace import Workspace


class ApiKey(models.Model):
    """A secret of a workspace: only its digest is kept.

    A *workspace* key is a server's: it sees the workspace, or only one agent where it is bound to it. A *personal* key
    acts as its user and sees what that user sees. An *end user's* key may be handed to one person of the product: it
    sees and does what they may, nothing else. In each case threads it makes belong to its user.
    """

    PREFIX: ClassVar[str] = "key"

    class Kind(models.TextChoices):
        WORKSPACE = "workspace"
        PERSONAL = "personal"
        END_USER = "end_user"

    id = models.UUIDField(primary_key=True, default=ids.new, editable=False)
    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, related_name="api_keys")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="api_keys")
    kind = models.CharField(max_length=16, choices=Kind.choices, default=Kind.WORKSPACE)
    name = models.CharField(max_length=200)
    prefix = models.CharField(max_length=12, editable=False)
    digest = models.BinaryField(max_length=32, unique=True, editable=False)
    # The secret before the last rotation, which works until then.
    previous_digest = models.BinaryField(max_length=32, unique=True, null=True, editable=False)
    previous_until = models.DateTimeField(null=True, editable=False)
    # The only agent it reaches; the agents' room lies above, so only the database knows what this points at.
    agent_id = models.UUIDField(null=True, editable=False)
    scopes = ArrayField(models.CharField(max_length=16), default=list, blank=True)
    # Requests a minute, where not RATE_LIMIT_KEY's.
    rate_limit = models.PositiveIntegerField(null=True, blank=True)
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    expires_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True, editable=False)
    last_used_at = models.DateTimeField(null=True, blank=True, editable=False)
    usage_count = models.BigIntegerField(default=0, editable=False)

    class Meta:
        ordering = ["-created_at", "-id"]
        verbose_name = "API key"

    def __str__(self) -> str:
        return f"{self.name} ({self.prefix}…)"

    @property
    def wire_id(self) -> str:
        return ids.encode(self.PREFIX, self.id)
