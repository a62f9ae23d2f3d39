from typing import ClassVar

from django.conf import settings
from django.db import models
from django.db.models.functions import Now

from threadhub.agents.models import Agent
from threadhub.lib import ids
from threadhub.workspaces.models import Workspace

# Of a thread's and a session's external_ref alike: it stands in indexes, whose rows have room for so much UTF-8.
EXTERNAL_REF_CHARACTERS = 512


class ChatSession(models.Model):
    """A visitor's stay with one agent. It reaches the threads of (agent, external_ref)."""

    PREFIX: ClassVar[str] = "session"

    id = models.UUIDField(primary_key=True, default=ids.new, editable=False)
    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, related_name="chat_sessions")
    agent = models.ForeignKey(
        Agent, on_delete=models.CASCADE, db_constraint=False, db_index=False, related_name="chat_sessions"
    )
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True)
    external_ref = models.TextField()
    allowed_vectors = models.JSONField(default=list, blank=True)
    system_prompt_variables = models.JSONField(default=dict, blank=True)
    first_thread_id = models.UUIDField(null=True, editable=False)
    refresh_digest = models.BinaryField(max_length=32, unique=True, editable=False)
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    updated_at = models.DateTimeField(db_default=Now(), editable=False)
    expires_at = models.DateTimeField(db_index=True)
    ended_at = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta:
        ordering = ["-created_at", "-id"]
        indexes = [
            models.Index("workspace", "agent", "external_ref", name="session_by_visitor"),
            models.Index("workspace", models.F("created_at").desc(), models.F("id").desc(), name="session_newest"),
        ]

    def __str__(self) -> str:
        return self.wire_id

    @property
    def wire_id(self) -> str:
        return ids.encode(self.PREFIX, self.id)
