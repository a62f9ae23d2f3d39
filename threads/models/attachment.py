from typing import ClassVar

from django.db import models
from django.db.models.functions import Now

from threadhub.lib import ids
from threads.models.message import Message
from threads.models.thread import Thread


class Attachment(models.Model):
    """A file that belongs to a message: an image or a document."""

    PREFIX: ClassVar[str] = "file"

    id = models.UUIDField(primary_key=True, default=ids.new, editable=False)
    workspace = models.ForeignKey(
        "workspaces.Workspace",
        on_delete=models.DO_NOTHING,
        db_constraint=False,
        db_index=False,
        related_name="+",
    )
    thread = models.ForeignKey(Thread, on_delete=models.DO_NOTHING, db_constraint=False, related_name="attachments")
    message = models.ForeignKey(Message, on_delete=models.DO_NOTHING, db_constraint=False, related_name="attachments")
    filename = models.TextField()
    content_type = models.CharField(max_length=100)
    size = models.BigIntegerField()  # bytes
    sha256 = models.BinaryField(max_length=32)
    file = models.FileField(max_length=300)
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        ordering = ["message", "id"]

    def __str__(self) -> str:
        return self.filename

    @property
    def wire_id(self) -> str:
        return ids.encode(self.PREFIX, self.id)
