from django.db import models

from threads.models.thread import Thread


class ToolUse(models.Model):
    """That a tool was called in a thread: one row for each tool and thread, however often.

    Thread ids are made in order, so the key lists a tool's threads newest first."""

    pk = models.CompositePrimaryKey("workspace_id", "name", "thread_id")
    workspace = models.ForeignKey(
        "workspaces.Workspace", on_delete=models.DO_NOTHING, db_constraint=False, db_index=False, related_name="+"
    )
    name = models.TextField()
    thread = models.ForeignKey(
        Thread, on_delete=models.DO_NOTHING, db_constraint=False, db_index=False, related_name="tool_uses"
    )

    class Meta:
        ordering = ["workspace", "name", "-thread"]
        indexes = [models.Index("thread", name="tool_use_by_thread")]

    def __str__(self) -> str:
        return self.name
