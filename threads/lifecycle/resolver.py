"""What is to happen to a thread now: the one function that decides, for plans, sweeps and the API alike.

Pure: facts in, decision out. Precedence (each line beats those below it):

1. a hold: nothing happens;
2. an erasure request: the thread is purged;
3. the longest `retain` policy that fits: nothing happens before its end;
4. pinned, or exempt until later: nothing happens;
5. explicit beats inherited: thread, then agent, workspace, system. A level speaks as soon as it has a policy that fits
   the thread in its state, due or not;
6. on one level the one that is due first; on a tie archive before trash before purge.

A thread is kept during [start, start + days), half-open: at start + days itself it is due. A day is 24 hours.
What cannot be resolved does nothing, and says so.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, NamedTuple
from uuid import UUID

FAR = datetime.max.replace(tzinfo=UTC)
LEVELS = ("thread", "agent", "workspace", "system")
ORDER = ("archive", "trash", "purge")
# In which states of a thread an action still has something to do.
APPLIES_TO = {"archive": ("active",), "trash": ("active", "archived"), "purge": ("active", "archived", "trashed")}


class Reason(StrEnum):
    """Why nothing happens, or what does."""

    HELD = "held"
    ERASURE = "erasure"
    RETAINED = "retained"
    PINNED = "pinned"
    EXEMPT = "exempt"
    NO_POLICY = "no_policy"
    NOT_DUE = "not_due"
    GRACE = "grace"  # due, but its policy is too new to act
    RUN_IN_PROGRESS = "run_in_progress"
    AGENT_MISSING = "agent_missing"
    UNREADABLE = "unreadable"  # a policy or a time that cannot be understood
    TRASH_OFF = "trash_off"
    POLICY = "policy"
    TRASH = "trash"  # its time in the trash is over


class Facts(NamedTuple):
    """What is known of a thread. Times are aware; None: there is none."""

    id: UUID
    agent_id: UUID | None
    state: str
    created_at: datetime | None
    last_activity_at: datetime | None = None
    archived_at: datetime | None = None
    trashed_at: datetime | None = None
    purge_after: datetime | None = None
    external_ref: str | None = None
    metadata: Mapping[str, Any] | None = None
    origin: str = "direct"
    pinned: bool = False
    exempt_until: datetime | None = None
    running: bool = False
    agent_known: bool = True
    erasure_requested: bool = False


@dataclass(frozen=True, slots=True)
class Rule:
    """A policy as the resolver needs it. `level` is one of LEVELS; `target_id` the agent or thread it is for."""

    id: UUID
    level: str
    action: str
    counted_from: str
    days: int
    target_id: UUID | None = None
    external_ref_prefix: str | None = None
    metadata: Mapping[str, Any] | None = None
    origin: str | None = None
    acts_from: datetime | None = None
    name: str = ""


class Decision(NamedTuple):
    """`action` is archive, trash, purge or None: nothing now. `at`: when something will happen as things stand."""

    action: str | None
    reason: Reason
    rule: Rule | None = None
    at: datetime | None = None


def resolve(
    facts: Facts, rules: Sequence[Rule], *, now: datetime, held: bool = False, trash_on: bool = False
) -> Decision:
    """What happens to the thread at `now`. `rules` are those in force, of every level; order does not matter."""
    if held:
        return Decision(None, Reason.HELD)
    if facts.erasure_requested:
        return Decision("purge", Reason.ERASURE, at=now)
    fitting = [rule for rule in rules if fits(facts, rule)]
    if any(not readable(rule) for rule in fitting):
        return Decision(None, Reason.UNREADABLE)
    choice = _winner(facts, fitting, trash_on=trash_on)
    retained_until = _retained_until(facts, fitting)
    if retained_until is not None and retained_until > now:
        return _waiting(choice, Reason.RETAINED, facts, retained_until)
    if facts.pinned:
        return Decision(None, Reason.PINNED, choice.rule)
    if facts.exempt_until is not None and facts.exempt_until > now:
        return _waiting(choice, Reason.EXEMPT, facts, retained_until)
    if choice.action is None:
        return choice
    return _due(choice, facts, now)


def steady_until(facts: Facts, rules: Sequence[Rule], *, now: datetime) -> datetime | None:
    """Until when `resolve` names the same rule and moment, if facts and rules stay as they are; None: for ever. Only
    what keeps a thread comes to an end by itself."""
    ends = [_end_of(facts, rule) for rule in rules if rule.action == "retain"]
    return min((end for end in (*ends, facts.exempt_until) if end is not None and end > now), default=None)


def resolve_for_sweep(
    facts: Facts, rules: Sequence[Rule], *, now: datetime, held: bool = False, trash_on: bool = False
) -> Decision:
    """As `resolve`, but what an erasure is to purge it purges itself: a sweep leaves it alone."""
    decision = resolve(facts, rules, now=now, held=held, trash_on=trash_on)
    return Decision(None, Reason.ERASURE) if decision.reason is Reason.ERASURE else decision


def fits(facts: Facts, rule: Rule) -> bool:
    """Whether the rule is about this thread: its level and its matchers."""
    if rule.level == "thread" and rule.target_id != facts.id:
        return False
    if rule.level == "agent" and rule.target_id != facts.agent_id:
        return False
    if rule.origin is not None and rule.origin != facts.origin:
        return False
    if rule.external_ref_prefix is not None and not (facts.external_ref or "").startswith(rule.external_ref_prefix):
        return False
    return rule.metadata is None or contains(facts.metadata or {}, rule.metadata)


def readable(rule: Rule) -> bool:
    """Whether the rule says something that is understood."""
    return (
        rule.level in LEVELS
        and rule.action in ("retain", *ORDER)
        and rule.counted_from in ("created", "last_activity", "archived", "trashed")
        and rule.days >= 1
    )


def contains(whole: Any, part: Any) -> bool:
    """JSON containment as PostgreSQL's @> has it: objects by key, arrays by element, all else by equality."""
    if isinstance(part, Mapping):
        return isinstance(whole, Mapping) and all(key in whole and contains(whole[key], part[key]) for key in part)
    if isinstance(part, list):
        return isinstance(whole, list) and all(any(contains(item, wanted) for item in whole) for wanted in part)
    return isinstance(whole, bool) == isinstance(part, bool) and bool(whole == part)


def start_of(facts: Facts, counted_from: str) -> datetime | None:
    """The moment that the days are counted from; None where there is none: then the rule has no say."""
    match counted_from:
        case "created":
            return facts.created_at
        case "last_activity":
            return facts.last_activity_at or facts.created_at
        case "archived":
            return facts.archived_at if facts.state != "active" else None
        case "trashed":
            return facts.trashed_at if facts.state == "trashed" else None
    return None


def _end_of(facts: Facts, rule: Rule) -> datetime | None:
    start = start_of(facts, rule.counted_from)
    if start is None:
        return None
    try:
        return start + timedelta(days=rule.days)
    except OverflowError:
        return FAR


def _retained_until(facts: Facts, fitting: Sequence[Rule]) -> datetime | None:
    ends = [_end_of(facts, rule) for rule in fitting if rule.action == "retain"]
    return max((end for end in ends if end is not None), default=None)


def _winner(facts: Facts, fitting: Sequence[Rule], *, trash_on: bool) -> Decision:
    """The rule that decides, with when it would act if nothing kept the thread; without action where none can."""
    if facts.state == "trashed" and facts.purge_after is not None:
        window = Decision("purge", Reason.TRASH, at=facts.purge_after)
    else:
        window = Decision(None, Reason.NO_POLICY)
    for level in LEVELS:
        found = []
        for rule in fitting:
            if rule.level != level or rule.action == "retain" or facts.state not in APPLIES_TO[rule.action]:
                continue
            end = _end_of(facts, rule)
            if end is not None:
                found.append((max(end, rule.acts_from or end), ORDER.index(rule.action), rule.id, rule))
        if found:
            at, _, _, rule = min(found, key=lambda each: each[:3])
            if rule.action == "trash" and not trash_on:
                return Decision(None, Reason.TRASH_OFF, rule)
            chosen = Decision(rule.action, Reason.POLICY, rule, at)
            # What is in the trash goes when its time there is over, whatever a policy would allow it beyond.
            return window if window.at is not None and window.at <= at else chosen
    return window


def _waiting(choice: Decision, reason: Reason, facts: Facts, retained_until: datetime | None) -> Decision:
    """Nothing now; `at` is when whatever keeps the thread has ended and its rule is due."""
    if choice.action is None or choice.at is None or facts.pinned:
        return Decision(None, reason, choice.rule)
    waits = [moment for moment in (choice.at, retained_until, facts.exempt_until) if moment is not None]
    return Decision(None, reason, choice.rule, max(waits))


def _due(choice: Decision, facts: Facts, now: datetime) -> Decision:
    assert choice.at is not None  # noqa: S101  a choice with an action has a time
    if choice.at > now:
        rule = choice.rule
        end = _end_of(facts, rule) if rule is not None else None
        in_grace = end is not None and end <= now
        return Decision(None, Reason.GRACE if in_grace else Reason.NOT_DUE, rule, choice.at)
    if not facts.agent_known:
        return Decision(None, Reason.AGENT_MISSING, choice.rule)
    if facts.running:
        return Decision(None, Reason.RUN_IN_PROGRESS, choice.rule, choice.at)
    return choice
