from typing import ClassVar

from django.db import models
from django.db.models.functions import Now

from threadhub.lib import ids


class Workspace(models.Model):
    """The tenant: owns agents, threads, keys and members."""

    PREFIX: ClassVar[str] = "workspace"

    class ExternalRefPolicy(models.TextChoices):
        """What happens to an external_ref that looks like personal data."""

        ALLOW = "allow", "Allow"
        WARN = "warn", "Warn"
        REFUSE = "refuse", "Refuse"

    id = models.UUIDField(primary_key=True, default=ids.new, editable=False)
    name = models.CharField(max_length=200)
    external_ref_policy = models.CharField(
        max_length=16, choices=ExternalRefPolicy.choices, default=ExternalRefPolicy.WARN, db_default="warn"
    )
    # Staff say why before the console shows them a transcript.
    transcript_reason = models.BooleanField(
        "Ask for a reason before a transcript is read", default=False, db_default=False
    )
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        ordering = ["name", "id"]

    def __str__(self) -> str:
        return self.name

    @property
    def wire_id(self) -> str:
        return ids.encode(self.PREFIX, self.id)
