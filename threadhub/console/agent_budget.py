"""Budgets on the pages of agents and workspaces: what was used and what is left, in words, and the limits of a day and
of a month."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, ClassVar
from uuid import UUID

from django import forms
from django.conf import settings
from django.http import HttpRequest
from django.utils import timezone
from django.utils.functional import SimpleLazyObject
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from unfold.widgets import UnfoldAdminDecimalFieldWidget, UnfoldAdminIntegerFieldWidget

from threadhub.agents import budgets
from threadhub.agents.budgets import MOST_TOKENS, Limits, Standing, Use
from threadhub.agents.models import Agent, Budget
from threadhub.agents.usage import written
from threadhub.console import display, rights
from threadhub.console.base import ConsoleAdmin
from threadhub.lib.errors import Invalid
from threadhub.workspaces.permissions import Permission

PERIODS = {Budget.Period.DAY.value: "Today", Budget.Period.MONTH.value: "This month"}
COSTS = ("day_cost", "month_cost")
FIELDS = ("day_tokens", "month_tokens", *COSTS)
NO_PRICES = "Models have no prices here (THREADHUB_PRICES), so money is not counted."


def tokens_field(period: str) -> forms.IntegerField:
    return forms.IntegerField(
        label=f"Tokens a {period} at most", required=False, min_value=0, max_value=MOST_TOKENS,
        widget=UnfoldAdminIntegerFieldWidget, help_text="Input and output together. Empty: no limit.",
    )  # fmt: skip


def cost_field(period: str) -> forms.DecimalField:
    return forms.DecimalField(
        label=f"Money a {period} at most", required=False, min_value=0, max_digits=18, decimal_places=6,
        widget=UnfoldAdminDecimalFieldWidget(attrs={"step": "any"}),
    )  # fmt: skip


class LimitsForm(forms.Form):
    """The limits of a workspace, or the part of an agent's form that has its own."""

    day_tokens = tokens_field("day")
    day_cost = cost_field("day")
    month_tokens = tokens_field("month")
    month_cost = cost_field("month")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        currency = settings.PRICES.currency
        for name in COSTS:
            self.fields[name].help_text = f"In {currency}. Empty: no limit." if currency else NO_PRICES

    def clean(self) -> dict[str, Any] | None:
        """Money wants a price, as the domain asks it; said beside the field."""
        cleaned = super().clean()
        if self.limits_money():
            try:
                budgets.require_price(self.priced())
            except Invalid as error:
                for name in self.wanting_a_price():
                    self.add_error(name, [row["msg"] for row in error.errors])
        return cleaned

    def wanting_a_price(self) -> list[str]:
        """The fields that changed so that there must be one; what is left as it was, needs none."""
        return [name for name in COSTS if self.budget_changed() and self.cleaned_data.get(name) is not None]

    def priced(self) -> Agent | None:
        """The agent whose model must have a price; None: any model."""
        return None

    def limits_money(self) -> bool:
        return any(self.cleaned_data.get(name) is not None for name in COSTS)

    def budget_changed(self) -> bool:
        return bool(set(FIELDS) & set(self.changed_data))


class BudgetFields(LimitsForm, forms.ModelForm):  # type: ignore[type-arg]
    """The limits of an agent that there is, as fields of its form. What somebody set while the page was open stays,
    unless it was changed here, too: the page says what it showed."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name in FIELDS:
            self.fields[name].show_hidden_initial = True
        if not self.instance._state.adding:
            self.initial.update(initial(self.instance.workspace_id, self.instance))

    def wanting_a_price(self) -> list[str]:
        changed: list[str] = [name for name in ("model", "provider") if name in self.changed_data]
        return super().wanting_a_price() or changed[:1]

    def frees_of_money(self) -> bool:
        return not self.limits_money() and bool(set(COSTS) & set(self.changed_data))

    def priced(self) -> Agent:
        return Agent(provider=self.cleaned_data.get("provider", ""), model=self.cleaned_data.get("model", ""))


def initial(workspace_id: UUID, agent: Agent | None) -> dict[str, Any]:
    """What the fields hold of an agent, or of a workspace where none is given."""
    found: dict[str, Any] = {}
    for row in Budget.objects.filter(workspace_id=workspace_id, agent=agent):
        found[f"{row.period}_tokens"] = row.tokens
        found[f"{row.period}_cost"] = None if row.cost is None else Decimal(str(written(row.cost)))
    return found


def limits(chosen: Mapping[str, Any]) -> dict[str, Limits | None]:
    """What the fields hold, as `budgets.replace` takes it."""
    return {each: {"tokens": chosen[f"{each}_tokens"], "cost": chosen[f"{each}_cost"]} for each in PERIODS}


class BudgetSection(ConsoleAdmin):
    """For the admin of agents: seen by whoever may see what is used, set by whoever may change agents."""

    budget_after: ClassVar[str] = "Limits and tools"  # the section below which its own stands

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        """What was used is read once, when the page is drawn: forms ask for the sections, too."""
        found = list(super().get_fieldsets(request, obj))
        if obj is None or not self.may_see_budget(request, obj):
            return found
        fields = (("day_tokens", "day_cost"), ("month_tokens", "month_cost"))
        section = {"fields": fields, "description": SimpleLazyObject(lambda: told(request, obj))}
        at = [name for name, _ in found].index(self.budget_after) + 1
        return [*found[:at], ("Budget", section), *found[at:]]

    def may_see_budget(self, request: HttpRequest, agent: Agent) -> bool:
        return rights.of(request).may(Permission.USAGE_READ, agent.workspace_id)

    def save_budget(self, request: HttpRequest, agent: Agent, form: BudgetFields) -> None:
        """Where it was changed, and shown to who changed it."""
        if form.budget_changed() and self.may_see_budget(request, agent):
            changed = {name: form.cleaned_data[name] for name in FIELDS if name in form.changed_data}
            chosen = {**dict.fromkeys(FIELDS), **initial(agent.workspace_id, agent), **changed}
            budgets.replace(actor=self.acting(request, agent), agent=agent, limits=limits(chosen))


def told(request: HttpRequest, agent: Agent) -> SafeString:
    """What an agent used today and in this month, and what its budgets and its workspace's leave. Two queries."""
    now, actor = timezone.now(), rights.of(request).actor(agent.workspace_id)
    use = budgets.used(actor=actor, agent=agent, now=now)
    standing = budgets.standings(agent.workspace_id, agent.pk, now)
    own = {each.budget.period: each for each in standing if each.budget.agent_id}
    lines = [_of_agent(period, use[period], own.get(period), now) for period in PERIODS]
    return _paragraphs([*lines, *_of_workspace(standing, now)])


def told_of_workspace(workspace_id: UUID) -> SafeString:
    """What all agents of a workspace used of its budgets, and what is left. One query."""
    now = timezone.now()
    lines = _of_workspace(budgets.standings(workspace_id, None, now), now)
    return _paragraphs(lines or ["There is none yet: only the agents' own budgets hold."])


def _paragraphs(lines: Sequence[SafeString | str]) -> SafeString:
    return format_html_join(SafeString("<br>"), "{}", ((line,) for line in lines))


def _of_agent(period: str, use: Use, standing: Standing | None, now: datetime) -> SafeString | str:
    if standing is None:
        return f"{PERIODS[period]}: {_used(use.tokens, use.cost)}. No budget."
    return _state(PERIODS[period], standing, "the agent takes no questions", now)


def _of_workspace(standings: Sequence[Standing], now: datetime) -> list[SafeString]:
    """The day's before the month's."""
    whole = {each.budget.period: each for each in standings if each.budget.agent_id is None}
    return [
        _state(f"All agents of the workspace, {title.lower()}", whole[period], "no agent takes questions", now)
        for period, title in PERIODS.items()
        if period in whole
    ]


def _state(title: str, standing: Standing, at_its_end: str, now: datetime) -> SafeString:
    used_up = f" It is used up: {at_its_end}." if standing.used_up else ""
    begins = display.moment(budgets.end_of(standing.budget.period, now))
    return format_html("{}: {}.{} It begins anew {}.", title, "; ".join(_left(standing)), used_up, begins)


def _left(standing: Standing) -> Iterator[str]:
    """`400 of 1,000 tokens used, 600 left`, and the same of money."""
    most_tokens, most_cost = standing.budget.tokens, standing.budget.cost
    if most_tokens is not None:
        left = max(0, most_tokens - standing.tokens)
        yield f"{standing.tokens:,} of {most_tokens:,} tokens used, {left:,} left"
    if most_cost is not None:
        cost = standing.cost or Decimal()
        left_cost = max(Decimal(), most_cost - cost)
        yield f"{display.money(cost)} of {display.money(most_cost)} used, {display.money(left_cost)} left"
    if most_tokens is None:
        yield f"{standing.tokens:,} tokens used"


def _used(tokens: int, cost: Decimal | None) -> str:
    return f"{tokens:,} tokens used" + (f", {display.money(cost)}" if cost else "")
