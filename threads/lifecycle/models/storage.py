from django.db import models

from threadhub.lib import ids
from threadhub.workspaces.models import Workspace


class StorageSize(models.Model):
    """What the live threads of a workspace take in one state, as it was measured at `made_at`: bytes of their messages'
    contents, and of their files. What archived ones take stands in their bundles."""

    id = models.UUIDField(primary_key=True, default=ids.new, editable=False)
    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, related_name="+", db_index=False)
    state = models.CharField(max_length=16)  # active or trashed
    messages = models.BigIntegerField()
    files = models.BigIntegerField()
    made_at = models.DateTimeField()

    class Meta:
        ordering = ["workspace", "state"]
        constraints = [models.UniqueConstraint(fields=["workspace", "state"], name="storage_size_once")]

    def __str__(self) -> str:
        return f"{self.state}: {self.messages + self.files} bytes"
