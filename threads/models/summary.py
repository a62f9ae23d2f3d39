from django.db import models
from django.db.models.functions import Now

from threadhub.lib import ids
from threads.models.thread import Thread


class Summary(models.Model):
    """Text that stands for the messages from one position to another, both included, in a model's context.

    It is good on every branch that has its last message: below a message all branches that have it are the same.
    """

    id = models.UUIDField(primary_key=True, default=ids.new, editable=False)
    workspace = models.ForeignKey(
        "workspaces.Workspace",
        on_delete=models.DO_NOTHING,
        db_constraint=False,
        db_index=False,
        related_name="+",
    )
    thread = models.ForeignKey(
        Thread, on_delete=models.DO_NOTHING, db_constraint=False, db_index=False, related_name="summaries"
    )
    from_position = models.IntegerField()
    to_position = models.IntegerField()
    text = models.TextField()
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        ordering = ["thread", "from_position"]
        verbose_name_plural = "summaries"
        constraints = [
            models.UniqueConstraint(fields=["thread", "to_position", "workspace"], name="summary_once_per_end"),
            models.CheckConstraint(
                condition=models.Q(to_position__gte=models.F("from_position")), name="summary_range_not_empty"
            ),
        ]

    def __str__(self) -> str:
        return f"#{self.from_position} to #{self.to_position}"
