"""Applying the policies of a workspace: plan, brake and cap, batches, verification, report."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfoNotFoundError

from django.db import models

from threadhub import audit
from threadhub.lib import ids
from threadhub.workspaces import actor as actors
from threads.lifecycle import (
    batches,
    candidates,
    census,
    holds,
    nights,
    purge,
    reports,
    resolver,
    rules,
    trash,
)
from threads.lifecycle import plan as plans
from threads.lifecycle.batches import Bounds
from threads.lifecycle.bundles import archive
from threads.lifecycle.bundles.verify import Damaged
from threads.lifecycle.candidates import Candidate, Selection
from threads.lifecycle.plan import Plan
from threads.lifecycle.purge import Due
from threads.lifecycle.resolver import Rule
from threads.models import RetentionPolicy, RetentionSettings, Sweep, SystemPolicy, Thread

BUNDLE_THREADS = 1_000
BUNDLE_MESSAGES = 200_000  # a bundle gets no further thread beyond; a thread with more has one of its own


@dataclass(slots=True)
class Outcome:
    """What a sweep did. `ended`: done, limit, time, stopped, cap, brake."""

    plan: Plan
    whole: bool = True  # of the whole workspace, not of a selection
    ended: str = "done"
    actions: Counter[str] = field(default_factory=Counter)
    by_policy: Counter[UUID | None] = field(default_factory=Counter)
    skips: Counter[str] = field(default_factory=Counter)
    bundles: list[str] = field(default_factory=list)
    files: int = 0
    failed: list[str] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)

    @property
    def taken(self) -> int:
        return sum(self.actions.values())

    def as_json(self) -> dict[str, Any]:
        """As reports and commands write it."""
        return {
            "ended": self.ended,
            "whole": self.whole,
            "planned": self.plan.total,
            "plan": self.plan.hash,
            "taken": self.taken,
            "actions": dict(sorted(self.actions.items())),
            "skipped": dict(sorted(self.skips.items())),
            "unreadable": self.plan.unreadable_ids,
            "bundles": self.bundles,
            "files": self.files,
            "failed": self.failed,
            "counts": self.counts,
        }


def apply(
    *,
    selection: Selection,
    cutoff: datetime,
    bounds: Bounds,
    brake: bool = True,
    progress: Callable[[int], Any] = lambda done: None,
    expect: Callable[[int], Any] = lambda total: None,
) -> Outcome:
    """Do what is due in a workspace at `cutoff`. The caller holds the sweep's lock. `expect` gets how many it will
    take, once that is planned. Raises census.CountsDoNotAgree."""
    workspace_id = selection.workspace_id
    settings = rules.settings_of(workspace_id)
    plan = plans.make(selection=selection, cutoff=cutoff, sizes=False)
    outcome = Outcome(plan, whole=selection == Selection(workspace_id=workspace_id))
    if brake and plans.braked(plan, settings):
        outcome.ended = "brake"
        return _reported(outcome, workspace_id)
    bounds, capped = _within_cap(bounds, settings, cutoff)
    expect(plan.total if bounds.limit is None else min(plan.total, bounds.limit))
    before = census.take(workspace_id=workspace_id, until=cutoff)
    sweep = _Sweep(selection, cutoff, settings, outcome)
    query = candidates.due(selection=selection, rules=sweep.rules, now=cutoff)
    _, outcome.ended = batches.through(query=query, bounds=bounds, work=sweep.batch, progress=progress)
    if outcome.ended == "limit" and capped:
        outcome.ended = "cap"
    if outcome.ended == "done" and outcome.whole and not outcome.failed:
        _end_first_acts(workspace_id, cutoff)
    outcome.counts = census.compare(workspace_id=workspace_id, before=before, until=cutoff)
    return _reported(outcome, workspace_id)


def foresee(*, selection: Selection, cutoff: datetime, bounds: Bounds, brake: bool = True) -> dict[str, Any]:
    """The plan, and how `apply` would end now with these bounds (but for time): `ended`, and how many it would take."""
    settings = rules.settings_of(selection.workspace_id)
    plan = plans.make(selection=selection, cutoff=cutoff)
    narrowed, capped = _within_cap(bounds, settings, cutoff)
    ended, taken = "done", plan.total
    if brake and plans.braked(plan, settings):
        ended, taken = "brake", 0
    elif narrowed.limit is not None and plan.total >= narrowed.limit:
        ended, taken = "cap" if capped else "limit", narrowed.limit
    return {**plan.as_json(), "ended": ended, "taken": taken}


def _end_first_acts(workspace_id: UUID, cutoff: datetime) -> None:
    """Whatever a policy's preview had beyond what it took is not due any more: what comes later, nobody foresaw."""
    acting = RetentionPolicy.objects.filter(workspace_id=workspace_id, enabled=True, acts_from__lte=cutoff)
    whole = 2 * models.F("previewed_count")
    acting.filter(acted_count__lt=whole).update(acted_count=whole)


class _Sweep:
    """One sweep's work on a batch."""

    def __init__(self, selection: Selection, cutoff: datetime, settings: RetentionSettings, outcome: Outcome) -> None:
        self.workspace_id = selection.workspace_id
        self.cutoff = cutoff
        self.settings = settings
        self.outcome = outcome
        self.rules: Sequence[Rule] = rules.in_force(workspace_id=self.workspace_id, now=cutoff)
        self.actor = actors.system(self.workspace_id)
        self.purging = purge.Purging(workspace_id=self.workspace_id, by=self.actor.identity, now=cutoff)

    def batch(self, thread_ids: list[UUID], left: int | None) -> int:
        """What is still due of a batch, done. Policies, settings and holds are read anew: each may have changed
        meanwhile."""
        holds.watch(self.workspace_id)
        self.settings = rules.settings_of(self.workspace_id)
        in_force = rules.in_force(workspace_id=self.workspace_id, now=self.cutoff)
        due: list[Due] = []
        for candidate in candidates.load(workspace_id=self.workspace_id, thread_ids=thread_ids):
            decision = resolver.resolve_for_sweep(
                candidate.facts,
                in_force,
                now=self.cutoff,
                held=candidate.held,
                trash_on=self.settings.trash_days > 0,
            )
            if decision.action is None:
                self.outcome.skips[decision.reason.value] += 1
            else:
                due.append((candidate, decision))
        self.purging.lock(each for each in due if each[1].action == "purge")
        done: list[Due] = []
        while due and (left is None or len(done) < left):
            room = len(due) if left is None else left - len(done)
            chosen, due = due[:room], due[room:]
            done += self._do(chosen)
            due = [each for each in due if each[1].action != "purge" or self.purging.can(each[0])]
        self._note(done)
        return len(done)

    def _do(self, chosen: list[Due]) -> list[Due]:
        """Returns what was done of it: all, but for threads that are to be purged of a damaged bundle."""
        groups: dict[str, list[Due]] = {"archive": [], "trash": [], "purge": []}
        for each in chosen:
            groups[each[1].action or ""].append(each)
        purged = self._purge(groups["purge"])
        if kept := len(groups["purge"]) - len(purged):
            self.outcome.skips[Damaged.code] += kept
        return self._archive(groups["archive"]) + self._trash(groups["trash"]) + purged

    def _archive(self, due: list[Due]) -> list[Due]:
        for group in bundles_of([candidate for candidate, _ in due]):
            bundle = archive.archive(
                workspace_id=self.workspace_id, thread_ids=[each.facts.id for each in group], now=self.cutoff
            )
            self.outcome.bundles.append(bundle.name)
        return due

    def _trash(self, due: list[Due]) -> list[Due]:
        if due:
            trash.put(
                workspace_id=self.workspace_id,
                thread_ids=[candidate.facts.id for candidate, _ in due],
                now=self.cutoff,
                days=self.settings.trash_days,
            )
        return due

    def _purge(self, due: list[Due]) -> list[Due]:
        done = self.purging.destroy(due)
        self.outcome.files, self.outcome.failed = self.purging.files, self.purging.faults
        return done

    def _note(self, done: list[Due]) -> None:
        if not done:
            return
        acted = Counter(decision.rule.id for _, decision in done if decision.rule is not None)
        for model in (RetentionPolicy, SystemPolicy):
            for policy_id, number in acted.items():
                model.objects.filter(pk=policy_id).update(acted_count=models.F("acted_count") + number)
        _count_for_cap(self.settings, self.cutoff, len(done))
        counts = Counter(decision.action or "" for _, decision in done)
        self.outcome.actions.update(counts)
        self.outcome.by_policy.update(decision.rule.id if decision.rule else None for _, decision in done)
        audit.record(
            actor=self.actor,
            action="retention.apply",
            ids=[ids.encode(Thread.PREFIX, candidate.facts.id) for candidate, _ in done],
            details={"counts": dict(counts), "cutoff": self.cutoff.isoformat()},
        )


def bundles_of(threads: Sequence[Candidate]) -> list[list[Candidate]]:
    """Threads that go into one bundle together: of the same month, not too many, not too long."""
    groups: list[list[Candidate]] = []
    month, messages = "", 0
    for thread in sorted(threads, key=lambda each: each.key):
        own = f"{thread.key[0]:%Y-%m}"
        full = bool(groups) and (len(groups[-1]) >= BUNDLE_THREADS or messages + thread.message_count > BUNDLE_MESSAGES)
        if not groups or own != month or full:
            groups.append([])
            month, messages = own, 0
        groups[-1].append(thread)
        messages += thread.message_count
    return groups


def _within_cap(bounds: Bounds, settings: RetentionSettings, cutoff: datetime) -> tuple[Bounds, bool]:
    """The bounds narrowed to what is left of the day's cap, and whether the cap is what binds."""
    if settings.daily_cap is None:
        return bounds, False
    here = settings.capped_since is not None and settings.capped_since >= _day_of(settings, cutoff)
    taken = settings.taken_since if here else 0
    left = max(0, settings.daily_cap - taken)
    if bounds.limit is not None and bounds.limit <= left:
        return bounds, False
    return replace(bounds, limit=left), True


def _count_for_cap(settings: RetentionSettings, cutoff: datetime, number: int) -> None:
    """In the transaction that takes them, so that a sweep that dies has counted what it took. A sweep as of a moment of
    the day before, which somebody confirmed then, counts to the day that is."""
    if settings.daily_cap is None:
        return
    day = _day_of(settings, cutoff)
    here = models.Q(capped_since__gte=day)
    mine = RetentionSettings.objects.filter(workspace_id=settings.workspace_id)
    mine.update(
        taken_since=models.Case(models.When(here, then=models.F("taken_since")), default=0) + number,
        capped_since=models.Case(models.When(here, then=models.F("capped_since")), default=day),
    )


def _day_of(settings: RetentionSettings, cutoff: datetime) -> datetime:
    """The beginning of the night that the cap's day begins with; UTC's where nobody knows the zone."""
    try:
        return nights.start(now=cutoff, zone=settings.time_zone)
    except (ZoneInfoNotFoundError, ValueError):
        return nights.start(now=cutoff, zone="UTC")


def _reported(outcome: Outcome, workspace_id: UUID) -> Outcome:
    reports.keep(
        workspace_id=workspace_id,
        kind=Sweep.Kind.RETENTION,
        cutoff=outcome.plan.cutoff,
        now=candidates.database_now(),
        report=outcome.as_json(),
    )
    return outcome
