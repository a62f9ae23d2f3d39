from typing import ClassVar

from django.db import models


class ThreadCount(models.Model):
    """A part of how many threads a workspace, or one agent in it, has in a state; written by triggers only
    (migration thread_counts), read by `threads/counts.py`.

    The number is the sum over all slots: a transaction adds to a slot that no other one is adding to, so that writers
    do not wait for each other. Of the workspace as a whole the subject is the workspace.
    """

    SLOTS: ClassVar[int] = 64

    pk = models.CompositePrimaryKey("workspace", "subject", "state", "slot")
    workspace = models.ForeignKey(
        "workspaces.Workspace",
        on_delete=models.DO_NOTHING,
        db_constraint=False,
        db_index=False,
        related_name="+",
    )
    subject = models.UUIDField()
    state = models.CharField(max_length=16)
    slot = models.SmallIntegerField()
    number = models.BigIntegerField()

    class Meta:
        ordering = ["workspace", "subject", "state", "slot"]

    def __str__(self) -> str:
        return f"{self.number} {self.state}"
