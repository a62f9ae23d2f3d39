from typing import ClassVar

from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import GinIndex
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models.functions import Now

from threadhub.agents import origins
from threadhub.agents.models.tool import Tool
from threadhub.lib import ids
from threadhub.workspaces.models import Workspace


class DoubleTexting(models.TextChoices):
    """What happens to a question that comes while the agent still answers the one before."""

    REJECT = "reject"  # refused
    ENQUEUE = "enqueue"  # answered afterwards, in the order of asking
    INTERRUPT = "interrupt"  # the answer under way is cancelled


class Agent(models.Model):
    """A configured answerer. The `ai` dialect calls it an integration."""

    PREFIX: ClassVar[str] = "agent"

    class Provider(models.TextChoices):
        ECHO = "echo"
        OPENAI = "openai"
        ANTHROPIC = "anthropic"
        LOCAL = "local"

    id = models.UUIDField(primary_key=True, default=ids.new, editable=False)
    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, related_name="agents")
    name = models.CharField(max_length=200)
    description = models.TextField(blank=True)
    provider = models.CharField(max_length=16, choices=Provider.choices, default=Provider.ECHO)
    model = models.CharField(max_length=200, blank=True)  # empty: the provider's default
    instructions = models.TextField(blank=True)
    temperature = models.FloatField(null=True, blank=True, validators=[MinValueValidator(0.0), MaxValueValidator(2.0)])
    max_output_tokens = models.PositiveIntegerField(null=True, blank=True, validators=[MinValueValidator(1)])
    # Tokens of thread history that the model is given at most; older messages stand in summaries.
    context_budget = models.PositiveIntegerField(default=32_000, validators=[MinValueValidator(256)])
    max_steps = models.PositiveSmallIntegerField(default=8, validators=[MinValueValidator(1), MaxValueValidator(64)])
    max_seconds = models.PositiveIntegerField(default=600, validators=[MinValueValidator(1), MaxValueValidator(3600)])
    # Of one run; null: no limit.
    max_run_tokens = models.BigIntegerField(null=True, blank=True, validators=[MinValueValidator(1)])
    max_run_cost = models.DecimalField(
        max_digits=18, decimal_places=6, null=True, blank=True, validators=[MinValueValidator(0)]
    )
    titles = models.BooleanField(default=True)  # whether it gives its threads a title
    double_texting = models.CharField(max_length=16, choices=DoubleTexting.choices, default=DoubleTexting.REJECT)
    tools = models.ManyToManyField(Tool, through="AgentTool", related_name="agents", blank=True)
    active = models.BooleanField(default=True)
    # Who may have a limited agent and its threads: any of these. Of everybody's agent all three are empty; of a limited
    # one they may become so, when the last of those named leaves.
    limited = models.BooleanField(default=False, editable=False)
    allowed_roles = ArrayField(models.CharField(max_length=16), default=list, blank=True)
    allowed_users = ArrayField(models.UUIDField(), default=list, blank=True)
    allowed_keys = ArrayField(models.UUIDField(), default=list, blank=True)
    metadata = models.JSONField(default=dict, blank=True)
    # For web pages (threadhub/agents/browsers.py). No public key: no page opens a chat session.
    public_key = models.CharField(max_length=64, null=True, blank=True, editable=False)
    allowed_origins = ArrayField(
        models.CharField(max_length=origins.MAX_LENGTH, validators=[origins.validate]),
        size=origins.MAX_ORIGINS,
        default=list,
        blank=True,
    )
    identity_required = models.BooleanField(default=False)  # visitors without a proof of who they are stay out
    sealed_identity_secret = models.BinaryField(null=True, editable=False)
    sealed_previous_identity_secret = models.BinaryField(null=True, editable=False)
    previous_identity_until = models.DateTimeField(null=True, editable=False)
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    updated_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        ordering = ["-created_at", "-id"]
        indexes = [
            models.Index("workspace", models.F("created_at").desc(), models.F("id").desc(), name="agent_newest"),
            GinIndex(fields=["allowed_origins"], condition=models.Q(public_key__isnull=False), name="agent_by_origin"),
            models.Index("workspace", condition=models.Q(limited=True), name="agent_limited"),
        ]
        constraints = [
            # Looked up before the workspace is known, so unique without it.
            models.UniqueConstraint(fields=["public_key"], name="agent_public_key_once"),
            models.CheckConstraint(
                condition=models.Q(limited=True) | models.Q(allowed_roles=[], allowed_users=[], allowed_keys=[]),
                name="agent_limited_if_said",
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def wire_id(self) -> str:
        return ids.encode(self.PREFIX, self.id)

    @property
    def has_identity_secret(self) -> bool:
        return self.sealed_identity_secret is not None


class AgentTool(models.Model):
    """A tool that an agent has."""

    id = models.UUIDField(primary_key=True, default=ids.new, editable=False)
    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, related_name="+")
    agent = models.ForeignKey(Agent, on_delete=models.CASCADE, db_constraint=False, related_name="agent_tools")
    tool = models.ForeignKey(Tool, on_delete=models.CASCADE, db_constraint=False, related_name="agent_tools")

    class Meta:
        ordering = ["agent", "tool"]
        constraints = [models.UniqueConstraint(fields=["agent", "tool", "workspace"], name="agent_tool_once")]

    def __str__(self) -> str:
        return f"{self.agent}: {self.tool}"
