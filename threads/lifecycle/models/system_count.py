from typing import ClassVar

from django.db import models

from threadhub.lib import ids
from threads.lifecycle.models.asked_work import AskedWork
from threads.lifecycle.models.policy import SystemPolicy


class SystemCount(AskedWork):
    """Counting what a policy of the installation would do, in all workspaces together. A policy has its newest."""

    PREFIX: ClassVar[str] = "system_count"

    policy = models.OneToOneField(SystemPolicy, on_delete=models.CASCADE, related_name="+")

    class Meta:
        ordering = ["-created_at", "-id"]

    def __str__(self) -> str:
        return "Count what is due"

    @property
    def wire_id(self) -> str:
        return ids.encode(self.PREFIX, self.id)
