from typing import ClassVar

from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import GinIndex
from django.db import models
from django.db.models.functions import Now

from threadhub.audit.recording import INSTALLATION
from threadhub.lib import ids

# What changes an agent, its budget or a key that staff made for it alone: few among events, and read as the agent's
# history. Keys of end users are bound to agents too, and may be as many as these.
OF_KEYS = ("api_key.create", "api_key.change", "api_key.rotate", "api_key.revoke")
OF_AGENTS = ("agent.create", "agent.update", "budget.set", *OF_KEYS)
IN_HISTORY = models.Q(action__in=OF_AGENTS) & ~models.Q(details__contains={"kind": "end_user"})
# Which agent they change, as ids name it: those of a key name the key first.
AGENT_CHANGED = models.Case(models.When(action__in=OF_KEYS, then=models.F("ids__1")), default=models.F("ids__0"))

OF_SWEEPS = "sweep.report"  # one a night, of which the newest is asked for


class AuditEvent(models.Model):
    """Who did what to which things, when and from where. The database refuses to change or remove one.

    No foreign keys: it outlives all that it tells of. `workspace_id` is zero for the installation itself. `seq`,
    `previous` and `hash` are its place in the workspace's chain, empty until it is linked. `salt`, `salts` and
    `masked` let values be taken out for an erasure without breaking the chain (chain.py).
    """

    PREFIX: ClassVar[str] = "auditevent"

    id = models.UUIDField(primary_key=True, default=ids.new, editable=False)
    workspace_id = models.UUIDField()
    created_at = models.DateTimeField(db_default=Now())
    actor = models.TextField()
    on_behalf_of = models.TextField(null=True)
    action = models.TextField()
    ids = ArrayField(models.TextField())
    details = models.JSONField()
    face = models.TextField()
    address = models.TextField(null=True)
    user_agent = models.TextField(null=True)
    request_id = models.TextField()
    salt = models.BinaryField(null=True, max_length=16)
    salts = models.JSONField(null=True)
    masked = models.JSONField(null=True)
    seq = models.BigIntegerField(null=True)
    previous = models.BinaryField(null=True, max_length=32)
    hash = models.BinaryField(null=True, max_length=32)

    class Meta:
        ordering = ["-created_at", "-id"]
        indexes = [
            models.Index("workspace_id", models.F("created_at").desc(), models.F("id").desc(), name="audit_newest"),
            models.Index(
                "workspace_id", "actor", models.F("created_at").desc(), models.F("id").desc(), name="audit_of_actor"
            ),
            models.Index("workspace_id", "created_at", "id", name="audit_unlinked", condition=models.Q(seq=None)),
            models.Index(
                "workspace_id",
                AGENT_CHANGED,
                models.F("created_at").desc(),
                models.F("id").desc(),
                name="audit_of_agent",
                condition=IN_HISTORY,
            ),
            models.Index(
                "workspace_id",
                models.F("created_at").desc(),
                models.F("id").desc(),
                name="audit_of_sweeps",
                condition=models.Q(action=OF_SWEEPS),
            ),
            GinIndex("workspace_id", "ids", name="audit_about"),
        ]
        constraints = [
            models.UniqueConstraint("workspace_id", "seq", name="audit_chain", condition=models.Q(seq__isnull=False)),
        ]

    def __str__(self) -> str:
        return self.wire_id

    @property
    def wire_id(self) -> str:
        return ids.encode(self.PREFIX, self.id)

    @property
    def of_workspace(self) -> bool:
        """Whether it tells of a workspace, not of the installation itself."""
        return self.workspace_id != INSTALLATION


class AuditHead(models.Model):
    """The end of a workspace's chain: what it must still be, or more, at any later time."""

    workspace_id = models.UUIDField(primary_key=True)
    seq = models.BigIntegerField()
    hash = models.BinaryField(max_length=32)
    at = models.DateTimeField(db_default=Now())

    class Meta:
        ordering = ["workspace_id"]

    def __str__(self) -> str:
        return f"{self.workspace_id} {self.seq}"


class AccessKind(models.TextChoices):
    """What can be out of the ordinary."""

    MISSING = "missing", "Ids walked through"
    READS = "reads", "Burst of reads"
    NEW_ADDRESS = "new_address", "New address"


class AccessCount(models.Model):
    """How often an actor did something in one window, added up over all processes. Kept for a day."""

    id = models.UUIDField(primary_key=True, default=ids.new, editable=False)
    workspace_id = models.UUIDField()
    actor = models.TextField()
    kind = models.TextField(choices=AccessKind.choices)
    window_start = models.DateTimeField(db_index=True)
    count = models.BigIntegerField()

    class Meta:
        ordering = ["-window_start", "-id"]
        constraints = [
            models.UniqueConstraint(fields=["workspace_id", "actor", "kind", "window_start"], name="access_count_once")
        ]

    def __str__(self) -> str:
        return f"{self.actor} {self.kind} {self.count}"


class AccessAddress(models.Model):
    """An address from which a key was used."""

    id = models.UUIDField(primary_key=True, default=ids.new, editable=False)
    workspace_id = models.UUIDField()
    actor = models.TextField()
    address = models.TextField()
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        ordering = ["-created_at", "-id"]
        constraints = [models.UniqueConstraint(fields=["workspace_id", "actor", "address"], name="access_address_once")]

    def __str__(self) -> str:
        return f"{self.actor} {self.address}"


class AccessAlert(models.Model):
    """Somebody's access passed a limit: shown to those who answer for the workspace, and told to a webhook."""

    PREFIX: ClassVar[str] = "alert"
    Kind = AccessKind

    id = models.UUIDField(primary_key=True, default=ids.new, editable=False)
    workspace_id = models.UUIDField()
    actor = models.TextField()
    kind = models.TextField(choices=AccessKind.choices)
    window_start = models.DateTimeField()
    count = models.BigIntegerField()
    address = models.TextField(null=True)
    created_at = models.DateTimeField(db_default=Now())
    delivered_at = models.DateTimeField(null=True)
    attempts = models.PositiveSmallIntegerField(db_default=0)
    try_again_at = models.DateTimeField(db_default=Now())

    class Meta:
        ordering = ["-created_at", "-id"]
        indexes = [
            models.Index(
                "workspace_id", models.F("created_at").desc(), models.F("id").desc(), name="access_alert_newest"
            ),
            models.Index("try_again_at", name="access_alert_untold", condition=models.Q(delivered_at=None)),
        ]
        constraints = [
            models.UniqueConstraint(fields=["workspace_id", "actor", "kind", "window_start"], name="access_alert_once")
        ]

    def __str__(self) -> str:
        return self.wire_id

    @property
    def wire_id(self) -> str:
        return ids.encode(self.PREFIX, self.id)
