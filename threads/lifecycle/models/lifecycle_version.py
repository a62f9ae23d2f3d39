from django.db import models


class LifecycleVersion(models.Model):
    """Which state of a workspace's policies, holds and retention settings is the present one: `version` is a value that
    never was before, after each change. Written by triggers only (migration lifecycle_version), in the transaction
    that changes them; read by `threads/lifecycle/in_force.py`. A workspace that never had any has no row.
    """

    workspace = models.OneToOneField(
        "workspaces.Workspace",
        on_delete=models.DO_NOTHING,
        primary_key=True,
        db_constraint=False,
        related_name="+",
    )
    version = models.UUIDField(editable=False)

    class Meta:
        ordering = ["workspace"]

    def __str__(self) -> str:
        return str(self.version)
