from typing import ClassVar

from django.db import models
from django.db.models.functions import Now

from threadhub.lib import ids
from threads.models.thread import Thread
from threads.querysets.messages import MessageQuerySet


class Message(models.Model):
    """One entry of a thread, at a position. Positions count from 1 and are never given twice.

    `tool_calls` are stored in one form, `[{"id", "name", "arguments": object}]`; each dialect spells them its way.
    `extra` holds the keys a client sent that threadhub has no column for, as sent.
    """

    PREFIX: ClassVar[str] = "msg"

    class Role(models.TextChoices):
        USER = "user"
        ASSISTANT = "assistant"
        SYSTEM = "system"
        TOOL = "tool"

    class Kind(models.TextChoices):
        TEXT = "text"
        IMAGE = "image"
        DOCUMENT = "document"

    id = models.UUIDField(primary_key=True, default=ids.new, editable=False)
    workspace = models.ForeignKey(
        "workspaces.Workspace",
        on_delete=models.DO_NOTHING,
        db_constraint=False,
        db_index=False,
        related_name="+",
    )
    thread = models.ForeignKey(
        Thread, on_delete=models.DO_NOTHING, db_constraint=False, db_index=False, related_name="messages"
    )
    position = models.IntegerField()
    role = models.CharField(max_length=16, choices=Role.choices)
    kind = models.CharField(max_length=16, choices=Kind.choices, default=Kind.TEXT)
    content = models.TextField(null=True, blank=True)
    title = models.TextField(null=True, blank=True)
    name = models.TextField(null=True, blank=True)
    tool_calls = models.JSONField(null=True, blank=True)
    tool_call_id = models.TextField(null=True, blank=True)
    tool_result = models.JSONField(null=True, blank=True)
    extra = models.JSONField(default=dict, blank=True)
    run_id = models.UUIDField(null=True, editable=False)
    # Who of the staff wrote it in the agent's place, as Actor.identity spells them, `user:erased` of whom was erased
    # since; empty for all other messages.
    author = models.CharField(max_length=64, blank=True, default="", db_default="", editable=False)
    partial = models.BooleanField(default=False)  # an answer that was cut short: cancelled, or its provider failed
    # Of the call of the model that wrote it: {"input_tokens", "output_tokens", "cached_tokens", "cost": text or null,
    # "estimated"}.
    usage = models.JSONField(null=True, editable=False)
    # Its time by the clock of a client that resends its history, and knows the message by it.
    sent_at = models.DateTimeField(null=True, editable=False)
    # Whether search knows it; what comes back in bulk is made known afterwards (threads/search_backlog.py).
    searchable = models.BooleanField(default=True, db_default=True, editable=False)
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    updated_at = models.DateTimeField(db_default=Now(), editable=False)

    objects = MessageQuerySet.as_manager()

    class Meta:
        ordering = ["thread", "position"]
        indexes = [
            models.Index("run_id", condition=models.Q(run_id__isnull=False), name="message_of_run"),
            models.Index("workspace", "id", condition=models.Q(searchable=False), name="message_not_searchable"),
            models.Index("workspace", "author", condition=~models.Q(author=""), name="message_of_person"),
        ]
        constraints = [
            models.UniqueConstraint(fields=["thread", "position", "workspace"], name="message_position_once"),
            models.CheckConstraint(
                condition=models.Q(role__in=["user", "assistant", "system", "tool"]),
                name="message_role_known",
            ),
            models.CheckConstraint(condition=models.Q(position__gte=1), name="message_position_from_one"),
        ]

    def __str__(self) -> str:
        return f"{self.role} #{self.position}"

    @property
    def by_person(self) -> bool:
        """Whether a member of staff wrote it in the agent's place."""
        return self.author != ""

    @property
    def wire_id(self) -> str:
        return ids.encode(self.PREFIX, self.id)
