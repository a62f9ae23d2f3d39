from typing import ClassVar

from django.db import models
from django.db.models.functions import Now

from threadhub.agents.models import Agent
from threadhub.lib import ids
from threads.models.thread import Thread
from threads.querysets.runs import RunQuerySet


class Run(models.Model):
    """One asking of an agent on a thread:
    `queued → running → succeeded | requires_action | failed | cancelled | expired`.

    Runs of a thread are numbered in the order of asking. At most one of them is running; the database holds that.
    Others may be queued behind it; then `input` keeps their messages until it is their turn.
    """

    PREFIX: ClassVar[str] = "run"

    class Status(models.TextChoices):
        QUEUED = "queued"
        RUNNING = "running"
        REQUIRES_ACTION = "requires_action"  # its part is done; another run goes on once others have done theirs
        SUCCEEDED = "succeeded"
        FAILED = "failed"
        CANCELLED = "cancelled"
        EXPIRED = "expired"

    LIVE: ClassVar[tuple[str, ...]] = (Status.QUEUED, Status.RUNNING)

    id = models.UUIDField(primary_key=True, default=ids.new, editable=False)
    workspace = models.ForeignKey(
        "workspaces.Workspace",
        on_delete=models.DO_NOTHING,
        db_constraint=False,
        db_index=False,
        related_name="+",
    )
    thread = models.ForeignKey(
        Thread, on_delete=models.DO_NOTHING, db_constraint=False, db_index=False, related_name="runs"
    )
    agent = models.ForeignKey(
        Agent, on_delete=models.DO_NOTHING, db_constraint=False, db_index=False, related_name="runs"
    )
    number = models.IntegerField()
    branch = models.IntegerField(default=1, db_default=1, editable=False)  # the thread's active one when it was asked
    user_id = models.UUIDField(null=True, editable=False)  # who asked, where it was a user
    session_id = models.UUIDField(null=True, editable=False)  # the chat session in which it was asked
    status = models.CharField(max_length=16, choices=Status.choices, default=Status.QUEUED)
    provider = models.CharField(max_length=16, blank=True)
    model = models.CharField(max_length=200, blank=True)
    input = models.JSONField(null=True, editable=False)
    attempt = models.PositiveSmallIntegerField(default=0, editable=False)  # how often a worker has taken it
    # What the request asked beyond the thread: {"temperature", "max_output_tokens", "client_tools", "context", …}
    options = models.JSONField(default=dict, blank=True)
    enabled_tools = models.JSONField(null=True, blank=True)  # names or ids; null: all of the agent's
    ignored_tools = models.JSONField(default=list, blank=True)
    # Calls that the model asked for and that were not made: [{"tool_call_id", "name", "code"}].
    refused_tools = models.JSONField(default=list, blank=True, editable=False)
    # Of a run that stops at `requires_action`: {"tool_calls": [{"id", "name", "arguments"}], "approvals": [{"id",
    # "tool_call_id", "name", "arguments", "expires_at"}]}: the client's part and that of those who approve.
    required_action = models.JSONField(null=True, editable=False)
    waiting = models.BooleanField(default=False, editable=False)  # for that; False once it goes on, or never will
    continues = models.UUIDField(null=True, editable=False)  # the run whose step this one goes on with
    continued_by = models.UUIDField(null=True, editable=False)
    answer_id = models.UUIDField(default=ids.new, editable=False)  # the id that the final message has, or will have
    error_code = models.CharField(max_length=64, blank=True)
    error_message = models.TextField(blank=True)
    finish_reason = models.CharField(max_length=16, blank=True)
    input_tokens = models.IntegerField(null=True)
    output_tokens = models.IntegerField(null=True)
    cached_tokens = models.IntegerField(null=True)
    # Of what has a price, exact; null while nothing had. `unpriced` counts the calls of the model that had none.
    cost = models.DecimalField(max_digits=30, decimal_places=12, null=True)
    unpriced = models.PositiveSmallIntegerField(default=0)
    estimated = models.PositiveSmallIntegerField(
        default=0
    )  # the calls that were cut off: their tokens are our estimate
    last_seq = models.IntegerField(default=0, editable=False)
    # What the model was given when it was last asked: {"hash", "first", "last", "summaries", "instructions",
    # "tokens": an estimate}.
    context = models.JSONField(null=True, editable=False)
    # What is left of the events of a run long finished (threads/runs/replay.py); null while the rows are there.
    replay = models.JSONField(null=True, editable=False)
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    started_at = models.DateTimeField(null=True, editable=False)
    finished_at = models.DateTimeField(null=True, editable=False)
    lease_expires_at = models.DateTimeField(null=True, editable=False)

    objects = RunQuerySet.as_manager()

    class Meta:
        ordering = ["thread", "-number"]
        indexes = [
            models.Index("workspace", models.F("created_at").desc(), models.F("id").desc(), name="run_newest"),
            models.Index(
                "finished_at",
                condition=models.Q(replay__isnull=True, finished_at__isnull=False),
                name="run_not_compacted",
            ),
            models.Index("thread", condition=models.Q(waiting=True), name="run_waiting"),
            models.Index("lease_expires_at", condition=models.Q(status__in=("queued", "running")), name="run_lease"),
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["thread", "workspace"],
                condition=models.Q(status="running"),
                name="run_one_running_per_thread",
            ),
            models.UniqueConstraint(fields=["thread", "number", "workspace"], name="run_number_once"),
        ]

    def __str__(self) -> str:
        return f"{self.wire_id} ({self.status})"

    @property
    def wire_id(self) -> str:
        return ids.encode(self.PREFIX, self.id)

    @property
    def live(self) -> bool:
        return self.status in self.LIVE
