from django.db import models
from django.db.models.functions import Now

from threads.models.run import Run


class RunEvent(models.Model):
    """One typed piece of a run's stream, numbered from 1 without gaps. threads/runs/event_log.py lists the types."""

    pk = models.CompositePrimaryKey("run_id", "seq", "workspace_id")
    workspace = models.ForeignKey(
        "workspaces.Workspace",
        on_delete=models.DO_NOTHING,
        db_constraint=False,
        db_index=False,
        related_name="+",
    )
    run = models.ForeignKey(
        Run, on_delete=models.DO_NOTHING, db_constraint=False, db_index=False, related_name="events"
    )
    seq = models.IntegerField()
    type = models.CharField(max_length=32)
    data = models.JSONField(default=dict)
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        ordering = ["run", "seq"]

    def __str__(self) -> str:
        return f"{self.type} #{self.seq}"
