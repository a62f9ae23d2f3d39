from django.db import models

from threadhub.agents.models.agent import Agent
from threadhub.lib import ids
from threadhub.workspaces.models import Workspace


class Budget(models.Model):
    """What an agent, or a workspace with all its agents, may use in a day or a month (UTC); null is no limit."""

    class Period(models.TextChoices):
        DAY = "day"
        MONTH = "month"

    id = models.UUIDField(primary_key=True, default=ids.new, editable=False)
    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, related_name="+", db_index=False)
    agent = models.ForeignKey(
        Agent, on_delete=models.CASCADE, null=True, blank=True, db_constraint=False, db_index=False, related_name="+"
    )
    period = models.CharField(max_length=8, choices=Period.choices)
    tokens = models.BigIntegerField(null=True, blank=True)
    cost = models.DecimalField(max_digits=18, decimal_places=6, null=True, blank=True)

    class Meta:
        ordering = ["workspace", "agent", "period", "id"]
        constraints = [
            models.UniqueConstraint(
                fields=["workspace", "agent", "period"], name="budget_once_per_period", nulls_distinct=False
            ),
            models.CheckConstraint(condition=models.Q(period__in=["day", "month"]), name="budget_period_known"),
            models.CheckConstraint(
                condition=models.Q(tokens__gte=0) | models.Q(cost__gte=0), name="budget_limits_something"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.period} of {self.agent or self.workspace}"
