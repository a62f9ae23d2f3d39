"""A plan as a table and bars: what, how many, oldest, newest, bytes, by agent, by policy."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from threadhub.agents.models import Agent
from threadhub.console import display
from threadhub.console.retention import words
from threads.lifecycle.plan import Effect, Plan, Share
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
    figures = _of(plan)
    figures.policies = bars({_policy_names(plan).get(key, "The trash's own time"): n for key, n in _ranked(plan)})
    figures.skips = _skipped(plan.skips)
    return figures


def of_policy(effect: Effect) -> Figures:
    """Of what is one policy's doing, in one workspace or in all."""
    figures = _of(effect.share)
    figures.skips = _skipped(effect.skips)
    return figures


def bars(counts: Mapping[str, int]) -> list[Bar]:
    """A chart, longest first."""
    ranked = sorted(counts.items(), key=lambda each: (-each[1], each[0]))
    shown, rest = ranked[:BARS], sum(count for _, count in ranked[BARS:])
    if rest:
        shown.append((f"{len(ranked) - BARS:,} more", rest))
    top = max((count for _, count in shown), default=0) or 1
    return [Bar(display.shortened(label, 90), count, round(100 * count / top, 1)) for label, count in shown]


def _of(share: Share) -> Figures:
    names = dict(Agent.objects.filter(pk__in=list(share.by_agent)).values_list("pk", "name")) if share.by_agent else {}
    return Figures(
        total=share.total,
        messages=share.messages,
        size=words.size(share.size),
        oldest=share.oldest,
        newest=share.newest,
        actions=bars({words.DONE.get(action, action).capitalize(): count for action, count in share.actions.items()}),
        agents=bars(_named(share.by_agent, names)),
        sample=list(Thread.objects.filter(pk__in=share.sample).order_by("created_at", "pk")) if share.sample else [],
    )


def _skipped(skips: Mapping[str, int]) -> list[Bar]:
    """What is left alone, by reason in words; reasons that read alike are one bar."""
    told: Counter[str] = Counter()
    for reason, count in skips.items():
        told[words.SKIPPED.get(reason, reason)] += count
    return bars(told)


def _named(agents: Mapping[UUID, int], names: Mapping[UUID, str]) -> dict[str, int]:
    """Counts by name; agents that are called alike are one bar each."""
    found: dict[str, int] = {}
    for pk, count in agents.items():
        name = names.get(pk, "An agent that is gone")
        found[name if name not in found else f"{name} ({str(pk)[-6:]})"] = count
    return found


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
