"""A plan as a table and bars: what, how many, oldest, newest, bytes, by agent, by policy."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from threadhub.agents.models import Agent
from threadhub.console import display
from threadhub.console.retention import words
from threads.lifecycle.plan import Plan, Share
from threads.models import RetentionPolicy, SystemPolicy, Thread

BARS = 12  # in one chart; the rest is one bar


@dataclass(frozen=True, slots=True)
class Bar:
    """One line of a chart. `percent`: of the longest one."""

    label: str
    count: int
    percent: float


@dataclass(slots=True)
class Figures:
    """What a page shows of a plan."""

    total: int
    messages: int
    size: str
    oldest: datetime | None
    newest: datetime | None
    actions: list[Bar]
    agents: list[Bar]
    policies: list[Bar] = field(default_factory=list)
    skips: list[Bar] = field(default_factory=list)
    sample: list[Thread] = field(default_factory=list)


def of_plan(plan: Plan) -> Figures:
    """Of all that a workspace's sweep would do."""
    figures = _of([plan])
    figures.policies = bars({_policy_names(plan).get(key, "The trash's own time"): n for key, n in _ranked(plan)})
    figures.skips = bars({words.SKIPPED.get(reason, reason): count for reason, count in plan.skips.items()})
    return figures


def of_policy(plans: Sequence[Plan], policy_id: UUID) -> Figures:
    """Of what is one policy's doing, in one workspace or in several."""
    figures = _of([plan.shares.get(policy_id, Share()) for plan in plans])
    skips: dict[str, int] = {}
    for plan in plans:
        for reason, count in plan.skips.items():
            name = words.SKIPPED.get(reason, reason)
            skips[name] = skips.get(name, 0) + count
    figures.skips = bars(skips)
    return figures


def bars(counts: Mapping[str, int]) -> list[Bar]:
    """A chart, longest first."""
    ranked = sorted(counts.items(), key=lambda each: (-each[1], each[0]))
    shown, rest = ranked[:BARS], sum(count for _, count in ranked[BARS:])
    if rest:
        shown.append((f"{len(ranked) - BARS:,} more", rest))
    top = max((count for _, count in shown), default=0) or 1
    return [Bar(display.shortened(label, 90), count, round(100 * count / top, 1)) for label, count in shown]


def _of(shares: Sequence[Share]) -> Figures:
    actions: dict[str, int] = {}
    agents: dict[UUID, int] = {}
    for share in shares:
        _add(actions, share.actions.items())
        _add(agents, share.by_agent.items())
    names = dict(Agent.objects.filter(pk__in=list(agents)).values_list("pk", "name")) if agents else {}
    sample = [thread_id for share in shares for thread_id in share.sample][:10]
    return Figures(
        total=sum(share.total for share in shares),
        messages=sum(share.messages for share in shares),
        size=words.size(sum(share.size for share in shares)),
        oldest=min((share.oldest for share in shares if share.oldest), default=None),
        newest=max((share.newest for share in shares if share.newest), default=None),
        actions=bars({words.DONE.get(action, action).capitalize(): count for action, count in actions.items()}),
        agents=bars(_named(agents, names)),
        sample=list(Thread.objects.filter(pk__in=sample).order_by("created_at", "pk")) if sample else [],
    )


def _named(agents: Mapping[UUID, int], names: Mapping[UUID, str]) -> dict[str, int]:
    """Counts by name; agents that are called alike are one bar each."""
    found: dict[str, int] = {}
    for pk, count in agents.items():
        name = names.get(pk, "An agent that is gone")
        found[name if name not in found else f"{name} ({str(pk)[-6:]})"] = count
    return found


def _add(counts: dict[Any, int], more: Iterable[tuple[Any, int]]) -> None:
    for key, count in more:
        counts[key] = counts.get(key, 0) + count


def _ranked(plan: Plan) -> list[tuple[UUID | None, int]]:
    return plan.by_policy.most_common()


def _policy_names(plan: Plan) -> dict[UUID | None, str]:
    """Each policy of a plan, by its name or as a sentence."""
    wanted = [key for key in plan.by_policy if key]
    found: dict[UUID | None, str] = {}
    for model in (RetentionPolicy, SystemPolicy):
        for policy in model.objects.filter(pk__in=wanted) if wanted else []:
            said = policy.name or words.sentence(policy)
            found[policy.pk] = said if said not in found.values() else f"{said} ({str(policy.pk)[-6:]})"
    return found
