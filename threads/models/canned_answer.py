from typing import ClassVar

from django.db import models
from django.db.models.functions import Now

from threadhub.lib import ids
from threadhub.workspaces.models import Workspace


class CannedAnswer(models.Model):
    """A text that staff who answer in a thread begin with, instead of writing it again."""

    PREFIX: ClassVar[str] = "canned"

    id = models.UUIDField(primary_key=True, default=ids.new, editable=False)
    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, db_index=False, related_name="+")
    title = models.CharField(max_length=80)
    text = models.TextField()
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    updated_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        ordering = ["-created_at", "-id"]
        constraints = [models.UniqueConstraint(fields=["workspace", "title"], name="canned_answer_title_once")]

    def __str__(self) -> str:
        return self.title

    @property
    def wire_id(self) -> str:
        return ids.encode(self.PREFIX, self.id)
