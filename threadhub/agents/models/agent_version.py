from typing import ClassVar

from django.db import models

from threadhub.agents.models.agent import Agent
from threadhub.lib import ids
from threadhub.workspaces.models import Workspace


class AgentVersion(models.Model):
    """How an agent answered from a moment on. Never changed; the newest one is how it answers now."""

    PREFIX: ClassVar[str] = "agent_version"

    id = models.UUIDField(primary_key=True, default=ids.new, editable=False)
    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, related_name="+", db_index=False)
    agent = models.ForeignKey(
        Agent, on_delete=models.CASCADE, db_constraint=False, db_index=False, related_name="versions"
    )
    number = models.IntegerField()  # 1, 2, … of one agent
    values = models.JSONField()  # by the names of threadhub/agents/versions.py
    changed = models.JSONField(default=list)  # names of what differs from the version before
    restored_from = models.IntegerField(null=True)  # the number of the version that this one went back to
    author = models.CharField(max_length=64, blank=True)  # user:…, key:… or system, as Actor.identity spells it
    created_at = models.DateTimeField()

    class Meta:
        ordering = ["agent", "-number"]
        indexes = [
            models.Index(
                "workspace", "agent", models.F("created_at").desc(), models.F("id").desc(), name="agent_version_newest"
            )
        ]
        constraints = [models.UniqueConstraint(fields=["workspace", "agent", "number"], name="agent_version_once")]

    def __str__(self) -> str:
        return f"{self.agent}, version {self.number}"
