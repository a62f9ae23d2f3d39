from django.db import models
from django.db.models.functions import Now

from threadhub.lib import ids
from threads.models.thread import Thread
from threads.path import PathField


class Branch(models.Model):
    """One course of a thread, numbered from 1: its parent's messages up to `from_position`, then its own.

    There are rows once a thread was forked. Which branch is active stands in the thread, with its path and its count:
    the row's `path` is the same then, its `message_count` is what it was when the branch became active.
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
        Thread, on_delete=models.DO_NOTHING, db_constraint=False, db_index=False, related_name="branches"
    )
    number = models.IntegerField()
    parent = models.IntegerField(null=True)  # number of the branch that it was forked from
    from_position = models.IntegerField(default=0)  # the last position shared with the parent; 0: none
    path = PathField()
    message_count = models.IntegerField(default=0)
    created_by = models.CharField(max_length=64, blank=True)  # user:…, session:… or key:…, as Actor.identity spells it
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        ordering = ["thread", "number"]
        verbose_name_plural = "branches"
        constraints = [
            models.UniqueConstraint(fields=["thread", "number", "workspace"], name="branch_number_once"),
            models.CheckConstraint(
                condition=models.Q(number__gte=1, from_position__gte=0, message_count__gte=0),
                name="branch_numbers_sane",
            ),
        ]

    def __str__(self) -> str:
        return f"branch {self.number}"
