from typing import ClassVar

from django.conf import settings
from django.db import models
from django.db.models.functions import Now

from threadhub.lib import ids
from threadhub.workspaces.models.workspace import Workspace

REFERENCE_CHARACTERS = 255  # it stands in an index


class EndUser(models.Model):
    """A person of the product, known here by the product's own reference and never signing in here.

    Their threads belong to a `User` like everybody's: one that has no password and no membership, made when the
    product first acts on their behalf.
    """

    PREFIX: ClassVar[str] = "end_user"

    id = models.UUIDField(primary_key=True, default=ids.new, editable=False)
    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, related_name="end_users", db_index=False)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="end_users")
    reference = models.CharField(max_length=REFERENCE_CHARACTERS)
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        ordering = ["-created_at", "-id"]
        indexes = [
            models.Index("workspace", models.F("created_at").desc(), models.F("id").desc(), name="end_user_newest")
        ]
        constraints = [
            models.UniqueConstraint(fields=["workspace", "reference"], name="end_user_once_per_reference"),
            models.UniqueConstraint(fields=["workspace", "user"], name="end_user_once_per_user"),
        ]

    def __str__(self) -> str:
        return self.reference
