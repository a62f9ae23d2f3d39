"""What a sweep would do, read-only. Every candidate goes through the resolver, page by page, so the counts are those
that an apply at the same moment has."""

import hashlib
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from threadhub.agents.models import Agent
from threadhub.lib import ids, json
from threadhub.workspaces.models import Workspace
from threads.lifecycle import candidates, extent, resolver, rules
from threads.lifecycle.candidates import Candidate, Selection
from threads.lifecycle.extent import Extent
from threads.lifecycle.resolver import Decision, Rule
from threads.models import RetentionPolicy, RetentionSettings, SystemPolicy, Thread

PAGE = 2_000
SAMPLE = 10
BRAKE_FLOOR = 10  # a share says nothing where a workspace has a handful of threads


@dataclass(slots=True)
class Share(Extent):
    """What of a plan is of one policy's doing. The extents of its parts are left out of what an older version kept."""

    actions: Counter[str] = field(default_factory=Counter)
    by_agent: Counter[UUID] = field(default_factory=Counter)
    action_extents: dict[str, Extent] = field(default_factory=dict)
    agent_extents: dict[UUID, Extent] = field(default_factory=dict)
    messages: int = 0
    sample: list[UUID] = field(default_factory=list)

    @property
    def total(self) -> int:
        return sum(self.actions.values())

    def take(self, candidate: Candidate, action: str) -> None:
        """Count a thread."""
        facts = candidate.facts
        self.actions[action] += 1
        if facts.agent_id is not None:
            self.by_agent[facts.agent_id] += 1
        self.messages += candidate.message_count
        for each in self._extents(facts.agent_id, action):
            each.reach(facts.last_activity_at or facts.created_at)
        if len(self.sample) < SAMPLE:
            self.sample.append(facts.id)

    def weigh(self, candidate: Candidate, action: str, size: int) -> None:
        """So many bytes has a thread that was counted."""
        for each in self._extents(candidate.facts.agent_id, action):
            each.size += size

    def add(self, other: "Share") -> None:
        """Count what another one has as well."""
        self.actions.update(other.actions)
        self.by_agent.update(other.by_agent)
        for action, each in other.action_extents.items():
            self.action_extents.setdefault(action, Extent()).cover(each)
        for agent_id, each in other.agent_extents.items():
            self.agent_extents.setdefault(agent_id, Extent()).cover(each)
        self.messages += other.messages
        self.cover(other)
        self.sample = [*self.sample, *other.sample][:SAMPLE]

    def _extents(self, agent_id: UUID | None, action: str) -> list[Extent]:
        """Those that a thread belongs to."""
        extents = [self, self.action_extents.setdefault(action, Extent())]
        return extents if agent_id is None else [*extents, self.agent_extents.setdefault(agent_id, Extent())]


@dataclass(slots=True)
class Effect:
    """What is of one policy's doing, in one workspace or in all, and what is left alone there, by reason."""

    share: Share = field(default_factory=Share)
    skips: Counter[str] = field(default_factory=Counter)
    unreadable: list[UUID] = field(default_factory=list)

    def add(self, other: "Effect") -> None:
        """Count what it does elsewhere as well."""
        self.share.add(other.share)
        self.skips.update(other.skips)
        self.unreadable += [each for each in other.unreadable if each not in self.unreadable]


@dataclass(slots=True)
class Plan(Share):
    """Counts of what is due in one workspace at `cutoff`."""

    workspace_id: UUID = field(kw_only=True)
    cutoff: datetime = field(kw_only=True)
    threads: int = 0  # of the workspace, whatever their state
    by_policy: Counter[UUID | None] = field(default_factory=Counter)  # None: the trash's own time
    skips: Counter[str] = field(default_factory=Counter)
    shares: dict[UUID | None, Share] = field(default_factory=dict)  # by policy
    unreadable: list[UUID] = field(default_factory=list)  # policies in force of which nobody knows what they say
    digest: Any = field(default_factory=hashlib.sha256)
    kept_hash: str = ""  # of a plan that was kept, and is not counted again

    @property
    def hash(self) -> str:
        """Over what would be done to which thread by which policy: another hash, another plan."""
        return self.kept_hash or str(self.digest.hexdigest())

    def note(self, candidate: Candidate, decision: Decision) -> None:
        """Count what the resolver said."""
        if decision.action is None:
            self.skips[decision.reason.value] += 1
            return
        policy_id = decision.rule.id if decision.rule else None
        self.by_policy[policy_id] += 1
        self.take(candidate, decision.action)
        self.shares.setdefault(policy_id, Share()).take(candidate, decision.action)
        self.digest.update(f"{candidate.facts.id}:{decision.action}:{policy_id}\n".encode())

    def measure(self, candidate: Candidate, decision: Decision, size: int) -> None:
        """So many bytes has a thread of which it was noted that something is due."""
        policy_id = decision.rule.id if decision.rule else None
        for share in (self, self.shares[policy_id]):
            share.weigh(candidate, decision.action or "", size)

    def effect_of(self, policy_id: UUID) -> Effect:
        """What of it is one policy's doing."""
        return Effect(self.shares.get(policy_id, Share()), self.skips, list(self.unreadable))

    @property
    def unreadable_ids(self) -> list[str]:
        """The policies that cannot be read, as everybody calls them."""
        return [ids.encode(RetentionPolicy.PREFIX, each) for each in self.unreadable]

    def as_json(self) -> dict[str, Any]:
        """As commands, reports and the API write it."""
        return {
            "workspace": ids.encode(Workspace.PREFIX, self.workspace_id),
            "cutoff": json.timestamp(self.cutoff),
            "threads": self.threads,
            "due": self.total,
            "actions": dict(sorted(self.actions.items())),
            "by_agent": {ids.encode(Agent.PREFIX, key): count for key, count in sorted(self.by_agent.items())},
            "by_policy": {
                ids.encode(RetentionPolicy.PREFIX, key) if key else "trash": count
                for key, count in sorted(self.by_policy.items(), key=str)
            },
            "skipped": dict(sorted(self.skips.items())),
            "unreadable": self.unreadable_ids,
            "messages": self.messages,
            "bytes": self.size,
            "oldest": json.timestamp(self.oldest) if self.oldest else None,
            "newest": json.timestamp(self.newest) if self.newest else None,
            "sample": [ids.encode(Thread.PREFIX, each) for each in self.sample],
            "hash": self.hash,
        }


def make(
    *,
    selection: Selection,
    cutoff: datetime,
    only: Sequence[Rule] | None = None,
    sizes: bool = True,
    progress: Callable[[int], Any] = lambda looked_at: None,
) -> Plan:
    """The plan of a workspace. `only`: as if these were the rules in force. `progress` gets, page by page, how many
    candidates were looked at."""
    in_force = rules.in_force(workspace_id=selection.workspace_id, now=cutoff) if only is None else list(only)
    trash_on = rules.settings_of(selection.workspace_id).trash_days > 0
    plan = Plan(workspace_id=selection.workspace_id, cutoff=cutoff, threads=count(selection.workspace_id))
    plan.unreadable = [rule.id for rule in in_force if not resolver.readable(rule)]
    looked_at = 0
    for page in candidates.due(selection=selection, rules=in_force, now=cutoff).pages(PAGE):
        doomed: dict[UUID, tuple[Candidate, Decision]] = {}
        for candidate in page:
            decision = resolver.resolve_for_sweep(
                candidate.facts, in_force, now=cutoff, held=candidate.held, trash_on=trash_on
            )
            plan.note(candidate, decision)
            if decision.action is not None:
                doomed[candidate.facts.id] = candidate, decision
        if sizes and doomed:
            for thread_id, size in extent.sizes(workspace_id=selection.workspace_id, thread_ids=list(doomed)):
                plan.measure(*doomed[thread_id], size)
        looked_at += len(page)
        progress(looked_at)
    return plan


def count(workspace_id: UUID) -> int:
    """The workspace's threads."""
    return Thread.objects.filter(workspace_id=workspace_id).exclude(state=Thread.State.TEMPORARY).count()


def unexpected(plan: Plan) -> int:
    """How many of the planned threads nobody has foreseen: a policy may take as many as the preview had that was looked
    at before it was enabled, however many sweeps that takes; what is in the trash has been put there."""
    surprising = 0
    known = {
        policy.id: policy
        for model in (RetentionPolicy, SystemPolicy)
        for policy in model.objects.filter(pk__in=[key for key in plan.by_policy if key])
    }
    for policy_id, planned in plan.by_policy.items():
        policy = known.get(policy_id) if policy_id else None
        if policy is None:
            continue
        surprising += max(0, planned - policy.foreseen)
    return surprising


def braked(plan: Plan, settings: RetentionSettings) -> bool:
    """Whether more of the workspace would go than may without somebody's leave."""
    surprising = unexpected(plan)
    return surprising > BRAKE_FLOOR and surprising * 100 > settings.brake_percent * plan.threads
