from typing import ClassVar

from django.db import models
from django.db.models.functions import Now

from threadhub.lib import ids
from threads.models.thread import Thread


class Note(models.Model):
    """What staff tell each other about a thread. No client sees it, no model is given it, no export has it."""

    PREFIX: ClassVar[str] = "note"

    id = models.UUIDField(primary_key=True, default=ids.new, editable=False)
    workspace = models.ForeignKey(
        "workspaces.Workspace", on_delete=models.DO_NOTHING, db_constraint=False, db_index=False, related_name="+"
    )
    thread = models.ForeignKey(
        Thread, on_delete=models.DO_NOTHING, db_constraint=False, db_index=False, related_name="notes"
    )
    author = models.CharField(max_length=64)  # user:…, as Actor.identity spells it, or user:erased
    text = models.TextField()
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        ordering = ["-created_at", "-id"]
        indexes = [
            models.Index("thread", models.F("created_at").desc(), name="note_by_thread"),
            models.Index("workspace", "author", name="note_by_author"),
        ]

    def __str__(self) -> str:
        return f"note by {self.author}"

    @property
    def wire_id(self) -> str:
        return ids.encode(self.PREFIX, self.id)
