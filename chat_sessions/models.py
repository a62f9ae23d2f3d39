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

    class EndReason(models.TextChoices):
        ENDED = "ended"  # by a key or by staff
        LOGGED_OUT = "logged_out"  # by the visitor
        EXPIRED = "expired"
        IDLE = "idle"
        REFRESH_REUSED = "refresh_reused"  # a refresh token came a second time: somebody has a copy

    id = models.UUIDField(primary_key=True, default=ids.new, editable=False)
    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, related_name="chat_sessions")
    agent = models.ForeignKey(
        Agent, on_delete=models.CASCADE, db_constraint=False, db_index=False, related_name="chat_sessions"
    )
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True)
    external_ref = models.TextField()
    anonymous = models.BooleanField(default=False)  # the reference is of our own making; nobody vouched for it
    origin = models.TextField(blank=True, default="")  # of the page that opened it; empty: a server did
    # Of an anonymous visitor: a keyed digest of the address, for the limit per address (visitors.py).
    opened_from = models.BinaryField(max_length=16, null=True, editable=False)
    name = models.CharField(max_length=200, blank=True, default="")  # what the visitor says, for staff to read
    metadata = models.JSONField(default=dict, blank=True)
    allowed_vectors = models.JSONField(default=list, blank=True)
    system_prompt_variables = models.JSONField(default=dict, blank=True)
    enabled_tools = models.JSONField(null=True, blank=True)  # names or ids that narrow the agent's tools; null: all
    first_thread_id = models.UUIDField(null=True, editable=False)
    refresh_digest = models.BinaryField(max_length=32, unique=True, editable=False)
    refreshed_at = models.DateTimeField(null=True, editable=False)
    refresh_count = models.PositiveIntegerField(default=0, editable=False)
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    updated_at = models.DateTimeField(db_default=Now(), editable=False)
    expires_at = models.DateTimeField()
    # When it expires unless the visitor does something before; never later than expires_at (expiry.py).
    idle_expires_at = models.DateTimeField(editable=False)
    ended_at = models.DateTimeField(null=True, blank=True, editable=False)
    end_reason = models.CharField(max_length=16, choices=EndReason.choices, blank=True, default="", editable=False)
    claimed_at = models.DateTimeField(null=True, editable=False)

    class Meta:
        ordering = ["-created_at", "-id"]
        indexes = [
            models.Index("workspace", "agent", "external_ref", name="session_by_visitor"),
            models.Index("workspace", models.F("created_at").desc(), models.F("id").desc(), name="session_newest"),
            models.Index("idle_expires_at", condition=models.Q(ended_at=None), name="session_expiring"),
            models.Index("ended_at", condition=models.Q(ended_at__isnull=False), name="session_ended"),
            models.Index(
                "agent",
                "opened_from",
                condition=models.Q(ended_at=None, opened_from__isnull=False),
                name="session_by_address",
            ),
        ]

    def __str__(self) -> str:
        return self.wire_id

    @property
    def wire_id(self) -> str:
        return ids.encode(self.PREFIX, self.id)
