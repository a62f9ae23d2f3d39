from typing import ClassVar

from django.db import models
from django.db.models.functions import Now

from threadhub.lib import ids


class Workspace(models.Model):
    """The tenant: owns agents, threads, keys and members."""

    PREFIX: ClassVar[str] = "workspace"

    id = models.UUIDField(primary_key=True, default=ids.new, editable=False)
    name = models.CharField(max_length=200)
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        ordering = ["name", "id"]

    def __str__(self) -> str:
        return self.name

    @property
    def wire_id(self) -> str:
        return ids.encode(self.PREFIX, self.id)
