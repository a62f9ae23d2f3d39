from typing import ClassVar

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import GinIndex
from django.db import models
from django.db.models.functions import Now

from chat_sessions.models import ChatSession
from threadhub.agents.models import Agent
from threadhub.lib import ids
from threadhub.workspaces.models import Workspace
from threads.path import PathField
from threads.querysets.threads import Beginning, ThreadQuerySet


class Thread(models.Model):
    """Ordered messages with one agent.

    The keys of this table and of those below it hold the workspace too (migration 0001): a row can only ever point
    at rows of its own workspace.
    """

    PREFIX: ClassVar[str] = "thread"

    class State(models.TextChoices):
        ACTIVE = "active"
        ARCHIVED = "archived"
        TRASHED = "trashed"
        TEMPORARY = "temporary"  # behind one asking without a thread; never listed, removed after the answer

    class TitleSource(models.TextChoices):
        PERSON = "person"  # whoever uses the API or the console: their title stays
        AGENT = "agent"

    class Origin(models.TextChoices):
        DIRECT = "direct"
        CHAT_SESSION = "chat_session"

    id = models.UUIDField(primary_key=True, default=ids.new, editable=False)
    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, related_name="threads", db_index=False)
    agent = models.ForeignKey(
        Agent, on_delete=models.PROTECT, related_name="threads", db_constraint=False, db_index=False
    )
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        db_index=False,
        related_name="threads",
    )
    chat_session = models.ForeignKey(
        ChatSession,
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        db_constraint=False,
        related_name="threads",
    )
    external_ref = models.TextField(null=True, blank=True)
    title = models.TextField(null=True, blank=True)
    title_source = models.CharField(max_length=8, choices=TitleSource.choices, null=True, editable=False)
    metadata = models.JSONField(default=dict, blank=True)
    state = models.CharField(max_length=16, choices=State.choices, default=State.ACTIVE)
    origin = models.CharField(max_length=16, choices=Origin.choices, default=Origin.DIRECT)
    # The active branch: its number, its path (NULL while the thread was never forked: all positions), its messages.
    branch = models.IntegerField(default=1, db_default=1, editable=False)
    path = PathField(null=True, editable=False)
    message_count = models.IntegerField(default=0, editable=False)
    last_position = models.IntegerField(default=0, editable=False)
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    updated_at = models.DateTimeField(db_default=Now(), editable=False)
    # The same to ten minutes, kept by the database: an append seldom changes it, so it may have an index (and lists by
    # `updated` begin there, threads/querysets/threads.py).
    updated_about = models.DateTimeField(null=True, editable=False)
    # When the last message came, by the database's clock; empty for a thread without messages.
    last_activity_at = models.DateTimeField(null=True, editable=False)
    # Its life (threads/lifecycle). None of these is touched by an append.
    pinned = models.BooleanField(default=False, db_default=False)
    exempt_until = models.DateTimeField(null=True, blank=True, editable=False)  # no policy takes it before
    archived_at = models.DateTimeField(null=True, editable=False)
    trashed_at = models.DateTimeField(null=True, editable=False)
    purge_after = models.DateTimeField(null=True, editable=False)  # of a trashed one: its time in the trash is over
    bundle_id = models.UUIDField(null=True, editable=False)  # of an archived one: into which it was archived

    # What staff make of it (threads/actions/takeover.py, desk.py); clients see `taken_over_at` alone, as `handled_by`.
    taken_over_at = models.DateTimeField(null=True, editable=False)  # since when a person answers in the agent's place
    taken_over_by_id = models.UUIDField(null=True, editable=False)
    assignee_id = models.UUIDField(null=True, editable=False)
    labels = ArrayField(models.CharField(max_length=40), default=list, db_default=[], blank=True, editable=False)

    objects = ThreadQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at", "-id"]
        # No index on updated_at, last_activity_at or the counters: an append must stay a HOT update.
        indexes = [
            models.Index(
                "workspace",
                models.F("updated_about").desc(nulls_last=True),
                include=["state"],
                name="thread_updated_about",
            ),
            models.Index(
                "workspace",
                models.F("created_at").desc(),
                models.F("id").desc(),
                include=["state"],  # a deep page of live threads is found in the index alone
                name="thread_newest_first",
            ),
            models.Index(
                "workspace",
                "agent",
                models.F("created_at").desc(),
                models.F("id").desc(),
                include=["state"],  # as in thread_newest_first
                name="thread_by_agent",
            ),
            models.Index(
                "workspace",
                models.F("user").asc(nulls_first=True),  # as the `ai` dialect sorts
                models.F("created_at").desc(),
                models.F("id").desc(),
                include=["state"],
                name="thread_by_user",
            ),
            models.Index(
                "workspace",
                Beginning("title").asc(nulls_first=True),
                "id",
                include=["state"],
                name="thread_by_title",
            ),
            models.Index("created_at", condition=models.Q(state="temporary"), name="thread_temporary"),
            models.Index("workspace", "purge_after", condition=models.Q(state="trashed"), name="thread_trashed"),
            models.Index("workspace", "archived_at", condition=models.Q(state="archived"), name="thread_archived"),
            models.Index(
                "workspace",
                "external_ref",
                models.F("created_at").desc(),
                models.F("id").desc(),
                name="thread_by_external_ref",
            ),
            # Lists of several workspaces between two days, and of the few threads of one that are out of use.
            models.Index(models.F("created_at").desc(), models.F("id").desc(), name="thread_newest_of_all"),
            models.Index(
                "workspace",
                "state",
                models.F("created_at").desc(),
                models.F("id").desc(),
                condition=models.Q(state__in=["archived", "trashed"]),
                name="thread_out_of_use",
            ),
            models.Index(
                "workspace",
                "assignee_id",
                models.F("id").desc(),
                condition=models.Q(assignee_id__isnull=False),
                name="thread_by_assignee",
            ),
            models.Index(
                "workspace",
                models.F("id").desc(),
                condition=models.Q(taken_over_at__isnull=False),
                name="thread_taken_over",
            ),
            GinIndex(fields=["workspace", "labels"], condition=~models.Q(labels=[]), name="thread_labels"),
        ]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(state__in=["active", "archived", "trashed", "temporary"]),
                name="thread_state_known",
            ),
            models.CheckConstraint(
                condition=models.Q(last_position__gte=models.F("message_count")),
                name="thread_positions_cover_messages",
            ),
            models.CheckConstraint(
                condition=models.Q(state="trashed", trashed_at__isnull=False, purge_after__isnull=False)
                | ~models.Q(state="trashed"),
                name="thread_trashed_has_times",
            ),
        ]

    def __str__(self) -> str:
        return self.title or self.wire_id

    @property
    def wire_id(self) -> str:
        return ids.encode(self.PREFIX, self.id)

    @property
    def taken_over(self) -> bool:
        """Whether a person answers in it, in the agent's place."""
        return self.taken_over_at is not None
