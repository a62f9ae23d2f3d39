"""What models used, in tokens and money: measured per call, kept per day. Money is exact, never a float.

Whoever makes a call records it, in the transaction that stores what came of it: so the days always add up to the
runs, and stay when threads are deleted.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from django.conf import settings

from threadhub.agents import context, sql
from threadhub.agents.events import Usage
from threadhub.agents.models import Agent, DailyUsage

MOST_TOKENS = 10**9  # per call; more is no count, and would not fit beside others


@dataclass(slots=True)
class Amount:
    """Tokens and their cost. `cost` is of what has a price, None where nothing had; `unpriced` counts the calls that
    had none, so a cost beside them is not the whole of it. `estimated` counts the calls that their service did
    not count: those cut off before it had, and all of a service that reports nothing."""

    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0  # a part of the input
    cost: Decimal | None = None
    unpriced: int = 0
    estimated: int = 0

    @property
    def tokens(self) -> int:
        return self.input_tokens + self.output_tokens

    def add(self, other: "Amount") -> None:
        self.input_tokens += other.input_tokens
        self.output_tokens += other.output_tokens
        self.cached_tokens += other.cached_tokens
        self.cost = added(self.cost, other.cost)
        self.unpriced += other.unpriced
        self.estimated += other.estimated

    def as_dict(self) -> dict[str, Any]:
        """For JSON: `cost` is the decimals as text, null where it is not known."""
        return {
            "input_tokens": self.input_tokens,
            "output_tokens": self.output_tokens,
            "cached_tokens": self.cached_tokens,
            "cost": written(None if self.unpriced else self.cost),
            "estimated": bool(self.estimated),
        }


def added(one: Decimal | None, other: Decimal | None) -> Decimal | None:
    """The sum of what is known of two costs."""
    if one is None or other is None:
        return other if one is None else one
    return one + other


def written(cost: Decimal | None) -> str | None:
    """Money as text without needless zeros: `0.0123`, `5`."""
    if cost is None:
        return None
    text = f"{cost:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def measured(usage: Usage, *, provider: str, model: str) -> Amount:
    """One call of a model by the service's own numbers, held against sense."""
    input_tokens = min(max(usage.input_tokens, 0), MOST_TOKENS)
    output_tokens = min(max(usage.output_tokens, 0), MOST_TOKENS)
    cached_tokens = min(max(usage.cached_tokens or 0, 0), input_tokens)
    price = settings.PRICES.of(provider, model)
    cost = (
        None
        if price is None
        else price.cost(input_tokens=input_tokens, cached_tokens=cached_tokens, output_tokens=output_tokens)
    )
    return Amount(input_tokens, output_tokens, cached_tokens, cost, unpriced=int(cost is None))


def estimated(*, input_tokens: int, characters: int, provider: str, model: str) -> Amount:
    """A call of a model that its service did not count: what it was given, and what it said, by their length."""
    output_tokens = -(-characters // context.CHARACTERS_PER_TOKEN)
    amount = measured(Usage(input_tokens, output_tokens), provider=provider, model=model)
    amount.estimated = 1
    return amount


def record(
    *,
    agent: Agent,
    purpose: DailyUsage.Purpose,
    amount: Amount,
    now: datetime,
    provider: str | None = None,
    model: str | None = None,
    count: int = 1,
    saved: bool = True,
) -> None:
    """Add to the day's usage of an agent. As the last thing of a transaction: its row is locked until the commit, and
    every run of the agent ends through it. `provider` and `model` are the agent's unless a run kept its own. What an
    agent uses that is not `saved` is the workspace's alone."""
    sql.add_usage(
        workspace_id=agent.workspace_id,
        agent_id=agent.id if saved else None,
        day=now.astimezone(UTC).date(),
        provider=agent.provider if provider is None else provider,
        model=agent.model if model is None else model,
        purpose=purpose.value,
        count=count,
        amounts={name: getattr(amount, name) for name in DailyUsage.AMOUNTS},
    )
