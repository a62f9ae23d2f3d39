from typing import ClassVar

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models.functions import Now

from threadhub.lib import ids
from threadhub.workspaces.models import Workspace

MAX_DAYS = 36_500


class PolicyTerms(models.Model):
    """How long, counted from what, and then what. A day is 24 hours, whatever the clocks of a time zone do.

    The matchers narrow it to some threads of its scope: all that are given must fit.
    """

    class Action(models.TextChoices):
        RETAIN = "retain"
        ARCHIVE = "archive"
        TRASH = "trash"
        PURGE = "purge"

    class CountedFrom(models.TextChoices):
        CREATED = "created"
        LAST_ACTIVITY = "last_activity"  # of a thread without messages: its making
        ARCHIVED = "archived"
        TRASHED = "trashed"

    id = models.UUIDField(primary_key=True, default=ids.new, editable=False)
    name = models.CharField(max_length=200, blank=True)
    action = models.CharField(max_length=16, choices=Action.choices)
    counted_from = models.CharField(max_length=16, choices=CountedFrom.choices, default=CountedFrom.LAST_ACTIVITY)
    days = models.PositiveIntegerField(validators=[MinValueValidator(1), MaxValueValidator(MAX_DAYS)])
    external_ref_prefix = models.TextField(null=True, blank=True)
    metadata = models.JSONField(null=True, blank=True)  # pairs that the thread's metadata must hold
    origin = models.CharField(max_length=16, null=True, blank=True)  # direct or chat_session
    enabled = models.BooleanField(default=False, editable=False)
    # When somebody looked at what it would do, and the terms they looked at.
    previewed_at = models.DateTimeField(null=True, editable=False)
    previewed_terms = models.CharField(max_length=64, blank=True, editable=False)
    previewed_count = models.IntegerField(null=True, editable=False)  # threads that it would have taken then
    acted_count = models.IntegerField(default=0, db_default=0, editable=False)  # threads it took since it was enabled
    # Enabled: from when on it removes anything. A retain policy that was switched off: until when it still protects.
    acts_from = models.DateTimeField(null=True, editable=False)
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    updated_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return self.name or f"{self.action} after {self.days} d"

    @property
    def foreseen(self) -> int:
        """How many threads it may still take that somebody saw in the preview before it was enabled; a tenth more, as
        threads come due meanwhile."""
        count = self.previewed_count or 0
        return max(0, count + count // 10 - self.acted_count)


class RetentionPolicy(PolicyTerms):
    """A policy of one workspace, for all of it, one agent or one thread."""

    PREFIX: ClassVar[str] = "policy"

    class Scope(models.TextChoices):
        WORKSPACE = "workspace"
        AGENT = "agent"
        THREAD = "thread"

    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, related_name="+", db_index=False)
    scope = models.CharField(max_length=16, choices=Scope.choices, default=Scope.WORKSPACE)
    target_id = models.UUIDField(null=True, editable=False)  # the agent's or the thread's

    class Meta:
        ordering = ["-created_at", "-id"]
        verbose_name_plural = "retention policies"
        indexes = [
            models.Index("workspace", models.F("created_at").desc(), models.F("id").desc(), name="policy_newest")
        ]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(action__in=["retain", "archive", "trash", "purge"]), name="policy_action_known"
            ),
            models.CheckConstraint(
                condition=models.Q(counted_from__in=["created", "last_activity", "archived", "trashed"]),
                name="policy_counted_from_known",
            ),
            models.CheckConstraint(condition=models.Q(days__gte=1), name="policy_days_positive"),
            models.CheckConstraint(
                condition=models.Q(scope="workspace", target_id__isnull=True)
                | models.Q(scope__in=["agent", "thread"], target_id__isnull=False),
                name="policy_scope_has_target",
            ),
        ]

    @property
    def wire_id(self) -> str:
        return ids.encode(self.PREFIX, self.id)


class SystemPolicy(PolicyTerms):
    """A policy of the installation: it counts in every workspace that has none of its own."""

    PREFIX: ClassVar[str] = "policy"

    class Meta:
        ordering = ["-created_at", "-id"]
        verbose_name_plural = "system policies"

    @property
    def wire_id(self) -> str:
        return ids.encode(self.PREFIX, self.id)
