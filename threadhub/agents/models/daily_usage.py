from typing import ClassVar

from django.db import models

from threadhub.agents.models.agent import Agent
from threadhub.lib import ids
from threadhub.workspaces.models import Workspace


class DailyUsage(models.Model):
    """What an agent used on a day (UTC), by model and purpose. It outlives the threads that it was used for. Trials of
    agents that are not saved (yet) count for the workspace, without an agent."""

    class Purpose(models.TextChoices):
        ANSWER = "answer"
        SUMMARY = "summary"
        TITLE = "title"
        TRIAL = "trial"

    AMOUNTS: ClassVar[tuple[str, ...]] = (
        "input_tokens", "output_tokens", "cached_tokens", "cost", "unpriced", "estimated"
    )  # fmt: skip

    id = models.UUIDField(primary_key=True, default=ids.new, editable=False)
    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, related_name="+", db_index=False)
    agent = models.ForeignKey(
        Agent, on_delete=models.CASCADE, null=True, db_constraint=False, db_index=False, related_name="+"
    )
    day = models.DateField()
    provider = models.CharField(max_length=16)
    model = models.CharField(max_length=200, blank=True)
    purpose = models.CharField(max_length=16, choices=Purpose.choices)
    count = models.BigIntegerField(default=0)  # runs, summaries, titles or trials
    input_tokens = models.BigIntegerField(default=0)
    output_tokens = models.BigIntegerField(default=0)
    cached_tokens = models.BigIntegerField(default=0)  # a part of the input
    # Of what has a price; null while nothing had. `unpriced` counts the calls of the model that had none.
    cost = models.DecimalField(max_digits=30, decimal_places=12, null=True)
    unpriced = models.BigIntegerField(default=0)
    estimated = models.BigIntegerField(default=0)  # calls that their service did not count: our estimate

    class Meta:
        ordering = ["-day", "id"]
        verbose_name_plural = "daily usage"
        indexes = [models.Index("workspace", "day", name="daily_usage_by_day")]
        constraints = [
            models.UniqueConstraint(
                fields=["workspace", "agent", "day", "provider", "model", "purpose"],
                name="daily_usage_once",
                nulls_distinct=False,
            )
        ]

    def __str__(self) -> str:
        return f"{self.day} {self.provider}/{self.model} {self.purpose}"
