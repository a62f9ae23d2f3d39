"""Budgets: what an agent, or a workspace with all its agents, may use in a day or a month (UTC).

They are held against what is recorded, before a run starts and when it is taken. Runs that are under way at once each
see what was used before them: so they can go over it by what they use themselves, and no further.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, ClassVar
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import Exists, F, OuterRef, Q, Sum
from django.utils import timezone

from threadhub import audit
from threadhub.agents import sql
from threadhub.agents.models import Agent, Budget, DailyUsage
from threadhub.agents.usage import written
from threadhub.lib.errors import Exhausted, Invalid
from threadhub.workspaces.actor import Actor
from threadhub.workspaces.permissions import Permission

MOST_TOKENS = 2**53 - 1  # what every client of JSON counts exactly
Limits = dict[str, Any]  # {"tokens": int | None, "cost": Decimal | None}


@dataclass(frozen=True, slots=True)
class Standing:
    """A budget, and what was used of it in its present period; `cost` of what has a price, None where nothing had."""

    budget: Budget
    tokens: int
    cost: Decimal | None

    @property
    def used_up(self) -> bool:
        most_tokens, most_cost = self.budget.tokens, self.budget.cost
        over_tokens = most_tokens is not None and self.tokens >= most_tokens
        return over_tokens or (most_cost is not None and (self.cost or Decimal()) >= most_cost)


class BudgetExceeded(Exhausted):
    """The budget for this period is used up."""

    code: ClassVar[str] = "budget_exceeded"


def over(*, agent: str) -> Exists:
    """Whether there is any budget over an agent, whose id is in this column of a row of its workspace."""
    budgets = Budget.objects.filter(workspace_id=OuterRef("workspace_id"))
    return Exists(budgets.filter(Q(agent_id=OuterRef(agent)) | Q(agent_id=None)))


def check(*, agent: Agent, now: datetime) -> None:
    """Raise BudgetExceeded where a budget over the agent is used up. `budgeted` is what the gate for agents says."""
    if not getattr(agent, "budgeted", True):
        return
    fault = exceeded(agent=agent, now=now)
    if fault is not None:
        raise fault


def exceeded(*, agent: Agent, now: datetime | None = None) -> BudgetExceeded | None:
    """Which budget over the agent is used up; the one that lasts longest. Used to the last token is used up."""
    now = now or timezone.now()
    over = [each.budget for each in standings(agent.workspace_id, agent.pk, now) if each.used_up]
    if not over:
        return None
    longest = max(over, key=lambda budget: end_of(budget.period, now))
    whose = "agent" if longest.agent_id else "workspace"
    wait = max(1, math.ceil((end_of(longest.period, now) - now).total_seconds()))
    return BudgetExceeded(f"The {whose}'s budget for this {longest.period} is used up.", retry_after=wait)


def standings(workspace_id: UUID, agent_id: UUID | None, now: datetime) -> list[Standing]:
    """The budgets of a workspace, and of one of its agents, with what was used of them. One query."""
    rows = Budget.objects.raw(
        sql.BUDGETS_AND_USE,
        {
            "workspace": workspace_id,
            "agent": agent_id,
            "day": start_of(Budget.Period.DAY, now),
            "month": start_of(Budget.Period.MONTH, now),
        },
    )
    return [Standing(row, int(getattr(row, "used_tokens")), getattr(row, "used_cost")) for row in rows]  # noqa: B009


def start_of(period: str, now: datetime) -> date:
    today = now.astimezone(UTC).date()
    return today if period == Budget.Period.DAY else today.replace(day=1)


def end_of(period: str, now: datetime) -> datetime:
    first = start_of(period, now)
    following = first + timedelta(days=1 if period == Budget.Period.DAY else 32)
    if period == Budget.Period.MONTH:
        following = following.replace(day=1)
    return datetime.combine(following, time(), UTC)


def of(*, actor: Actor, agent: Agent | None, now: datetime) -> list[Standing]:
    """The budgets of an agent, or of the actor's workspace where none is given. Raises PermissionMissing."""
    actor.require(Permission.USAGE_READ)
    agent_id = agent.pk if agent else None
    return [each for each in standings(actor.workspace_id, agent_id, now) if each.budget.agent_id == agent_id]


@dataclass(frozen=True, slots=True)
class Use:
    """What was used, as a Standing counts it."""

    tokens: int
    cost: Decimal | None


def used(*, actor: Actor, agent: Agent, now: datetime) -> dict[str, Use]:
    """What an agent used today and in this month, by period, whether it has budgets or not. One query, by the index
    daily_usage_once. Raises PermissionMissing."""
    actor.require(Permission.USAGE_READ)
    of_it = DailyUsage.objects.filter(
        workspace_id=agent.workspace_id, agent_id=agent.pk, day__gte=start_of(Budget.Period.MONTH, now)
    )
    tokens, today = F("input_tokens") + F("output_tokens"), Q(day=start_of(Budget.Period.DAY, now))
    sums = of_it.order_by().aggregate(
        month_tokens=Sum(tokens), month_cost=Sum("cost"),
        day_tokens=Sum(tokens, filter=today), day_cost=Sum("cost", filter=today),
    )  # fmt: skip
    return {each.value: Use(sums[f"{each}_tokens"] or 0, sums[f"{each}_cost"]) for each in Budget.Period}


@transaction.atomic
def replace(*, actor: Actor, agent: Agent | None, limits: Mapping[str, Limits | None]) -> None:
    """Set the budgets of an agent, or of the actor's workspace, by period; what is left out is removed.

    Raises PermissionMissing, and Invalid where money is limited that nobody can count.
    """
    actor.require(Permission.AGENT_WRITE)
    if agent is not None:  # whose model must not change meanwhile
        agent = Agent.objects.select_for_update(no_key=True).get(pk=agent.pk, workspace_id=actor.workspace_id)
    held = Budget.objects.filter(workspace_id=actor.workspace_id, agent=agent)
    before = {row.period: {"tokens": row.tokens, "cost": row.cost} for row in held}
    wanted = {period: row for period, row in limits.items() if row and any(v is not None for v in row.values())}
    if any(row.get("cost") is not None for row in wanted.values()):
        require_price(agent)
    held.exclude(period__in=wanted).delete()
    for period, row in wanted.items():
        values = {"tokens": row.get("tokens"), "cost": row.get("cost")}
        Budget.objects.update_or_create(workspace_id=actor.workspace_id, agent=agent, period=period, defaults=values)
    ids = [agent.wire_id] if agent else []
    details = {**dict(_for_audit(wanted)), "before": dict(_for_audit(before))}
    audit.record(actor=actor, action="budget.set", ids=ids, details=details)


def require_price(agent: Agent | None, *, field: str = "cost", why: str = "") -> None:
    """Raise Invalid where a limit of money could never be reached, because what is used has no price here. `why`: a
    sentence that says which limit, where the field does not."""
    priced = settings.PRICES.of(agent.provider, agent.model) is not None if agent else bool(settings.PRICES.prices)
    if not priced:
        message = "There is no price for this: THREADHUB_PRICES must name its model."
        raise Invalid.at("body", field, msg=f"{message} {why}".strip())


def require_price_under_budget(agent: Agent) -> None:
    """The same where the model of an agent changes under a budget of money."""
    if Budget.objects.filter(workspace_id=agent.workspace_id, agent=agent, cost__isnull=False).exists():
        require_price(agent, field="model", why="The agent has a budget of money.")


def _for_audit(wanted: Mapping[str, Limits]) -> Iterator[tuple[str, Any]]:
    for period, row in wanted.items():
        yield period, {"tokens": row.get("tokens"), "cost": written(row.get("cost"))}
