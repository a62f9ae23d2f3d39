"""A plan as a table and bars: what, how many, oldest, newest, bytes, by agent, by policy."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from threadhub.agents.models import Agent
from threadhub.console import display
from threadhub.console.retention import words
from threads.lifecycle.extent import Extent
from threads.lifecycle.plan import Effect, Plan, Share
from threads.models import RetentionPolicy, SystemPolicy, Thread

BARS = 12  # in one chart; the rest is one bar


@dataclass(frozen=True, slots=True)
class Bar:
    """One line of a chart. `percent`: of the longest one."""

    label: str
    count: int
    percent: float


@dataclass(frozen=True, slots=True)
class Part(Bar):
    """One line of a table with a chart: of what there is so much, too. None: an older version counted that did not
    look at it."""

    extent: Extent | None = None

    @property
    def size(self) -> str:
        return words.size(self.extent.size) if self.extent else ""


Counted = tuple[int, Extent | None]  # threads, and what they are


@dataclass(slots=True)
class Figures:
    """What a page shows of a plan."""

    total: int
    messages: int
    size: str
    oldest: datetime | None
    newest: datetime | None
    actions: list[Part]
    agents: list[Part]
    policies: list[Part] = field(default_factory=list)
    skips: list[Bar] = field(default_factory=list)
    unreadable: list[str] = field(default_factory=list)  # policies, by name or as a sentence
    sample: list[Thread] = field(default_factory=list)


def of_plan(plan: Plan) -> Figures:
    """Of all that a workspace's sweep would do."""
    figures = _of(plan)
    names = _policy_names([key for key in plan.by_policy if key])
    figures.policies = parts(
        {
            names.get(key, "The trash's own time"): (count, plan.shares.get(key))
            for key, count in plan.by_policy.most_common()
        }
    )
    figures.skips = _skipped(plan.skips)
    figures.unreadable = [*_policy_names(plan.unreadable).values()]
    return figures


def of_policy(effect: Effect) -> Figures:
    """Of what is one policy's doing, in one workspace or in all."""
    figures = _of(effect.share)
    figures.skips = _skipped(effect.skips)
    figures.unreadable = [*_policy_names(effect.unreadable).values()]
    return figures


def bars(counts: Mapping[str, int]) -> list[Bar]:
    """A chart, longest first."""
    return [*parts({label: (count, None) for label, count in counts.items()})]


def parts(counted: Mapping[str, Counted]) -> list[Part]:
    """A table with a chart, most threads first; what is beyond the chart is one line."""
    ranked = sorted(counted.items(), key=lambda each: (-each[1][0], each[0]))
    shown, rest = ranked[:BARS], [of_it for _, of_it in ranked[BARS:]]
    if rest:
        shown.append((f"{len(rest):,} more", (sum(count for count, _ in rest), _together([each for _, each in rest]))))
    top = max((count for _, (count, _) in shown), default=0) or 1
    return [
        Part(display.shortened(label, 90), count, round(100 * count / top, 1), extent)
        for label, (count, extent) in shown
    ]


def _together(extents: Sequence[Extent | None]) -> Extent | None:
    """Of all of them; None where one was not looked at."""
    whole = Extent()
    for extent in extents:
        if extent is None:
            return None
        whole.cover(extent)
    return whole


def _of(share: Share) -> Figures:
    names = dict(Agent.objects.filter(pk__in=list(share.by_agent)).values_list("pk", "name")) if share.by_agent else {}
    actions = {
        words.DONE.get(action, action).capitalize(): (count, share.action_extents.get(action))
        for action, count in share.actions.items()
    }
    return Figures(
        total=share.total,
        messages=share.messages,
        size=words.size(share.size),
        oldest=share.oldest,
        newest=share.newest,
        actions=parts(actions),
        agents=parts(_named(share, names)),
        sample=list(Thread.objects.filter(pk__in=share.sample).order_by("created_at", "pk")) if share.sample else [],
    )


def _skipped(skips: Mapping[str, int]) -> list[Bar]:
    """What is left alone, by reason in words; reasons that read alike are one bar."""
    told: Counter[str] = Counter()
    for reason, count in skips.items():
        told[words.SKIPPED.get(reason, reason)] += count
    return bars(told)


def _named(share: Share, names: Mapping[UUID, str]) -> dict[str, Counted]:
    """Its agents by name; those that are called alike are one line each."""
    found: dict[str, Counted] = {}
    for pk, count in share.by_agent.items():
        name = names.get(pk, "An agent that is gone")
        found[name if name not in found else f"{name} ({str(pk)[-6:]})"] = count, share.agent_extents.get(pk)
    return found


def _policy_names(wanted: Sequence[UUID]) -> dict[UUID | None, str]:
    """Each of these policies, by its name or as a sentence."""
    found: dict[UUID | None, str] = {}
    for model in (RetentionPolicy, SystemPolicy):
        for policy in model.objects.filter(pk__in=wanted) if wanted else []:
            said = policy.name or words.sentence(policy)
            found[policy.pk] = said if said not in found.values() else f"{said} ({str(policy.pk)[-6:]})"
    return found
