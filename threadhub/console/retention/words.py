"""What policies, holds and plans say, in sentences."""

from datetime import datetime, timedelta
from typing import Any

from threadhub.console import display
from threads.lifecycle import nights, policies
from threads.lifecycle.models import PolicyTerms
from threads.models import Hold, RetentionSettings, Thread

BECOMES = {
    "archive": "are archived",
    "trash": "go to the trash",
    "purge": "are destroyed for ever",
    "retain": "are kept, whatever other policies say, for",
}
AFTER = {
    "created": "after they were begun",
    "last_activity": "after their last message",
    "archived": "after they were archived",
    "trashed": "after they came into the trash",
}
SKIPPED = {
    "held": "On legal hold",
    "erasure": "Their person is being erased",
    "retained": "Kept by a policy",
    "pinned": "Pinned",
    "exempt": "Restored lately, exempt for a while",
    "trash_off": "To the trash, but the workspace has none",
    "run_in_progress": "An answer is being written",
    "not_due": "Not due yet",
    "grace": "The policy is in its grace",
    "no_policy": "No policy",
    "agent_missing": "Their agent is gone",
    "unreadable": "A policy cannot be read",
}
DONE = {"archive": "archived", "trash": "into the trash", "purge": "destroyed for ever"}
ENDED = {
    "done": "Everything planned is done.",
    "cap": "The daily cap is reached; the rest waits for another day.",
    "brake": "The brake stopped it before it began.",
    "stopped": "Stopped by a member of staff after the batch in hand.",
    "limit": "The limit is reached.",
    "time": "Its time was over; another part follows.",
    "changed": "More would have gone than was confirmed, so nothing was done. Look at the plan again.",
    "faults": "Not everything is as it should be.",
    "failed": "It failed.",
}


def days(count: int) -> str:
    return "1 day" if count == 1 else f"{count:,} days"


def sentence(policy: PolicyTerms) -> str:
    """A policy in plain language. `target_name`: what the list read along, for one agent or thread."""
    about = f"{_whose(policy)}{_matching(policy)}"
    becomes, after = BECOMES.get(policy.action, policy.action), AFTER.get(policy.counted_from, "")
    if getattr(policy, "scope", "") == "thread":
        becomes = {"are": "is", "go": "goes"}.get(becomes.split()[0], "") + becomes.removeprefix(becomes.split()[0])
        after = after.replace("their", "its").replace("they were", "it was").replace("they came", "it came")
    return f"{about} {becomes} {days(policy.days)} {after}."


def _whose(policy: PolicyTerms) -> str:
    scope = getattr(policy, "scope", "system")
    name = display.shortened(getattr(policy, "target_name", None), 60)
    if scope == "agent":
        return f"Threads of agent “{name}”" if name else "Threads of an agent that is gone"
    if scope == "thread":
        return f"The thread “{name}”" if name else "One thread"
    return "Threads of every workspace" if scope == "system" else "Threads"


def _matching(policy: PolicyTerms) -> str:
    parts = []
    if policy.origin == Thread.Origin.CHAT_SESSION:
        parts.append("begun in chat sessions")
    elif policy.origin:
        parts.append("begun outside chat sessions")
    if policy.external_ref_prefix:
        parts.append(f"whose reference begins with “{display.shortened(policy.external_ref_prefix, 40)}”")
    if policy.metadata:
        pairs = ", ".join(f"{key} = {value}" for key, value in policy.metadata.items())
        parts.append(f"with {display.shortened(pairs, 60)}")
    return " " + " and ".join(parts) if parts else ""


def state(policy: PolicyTerms, now: datetime) -> tuple[str, str]:
    """Of a policy: a word for its badge's colour, and what the badge says."""
    waits = policy.acts_from is not None and policy.acts_from > now
    if policy.enabled:
        in_grace = waits and policy.action != "retain"
        return ("grace", "In its grace") if in_grace else ("in_force", "In force")
    if policy.action == "retain" and waits:
        return "grace", "Off, still protects"
    looked_at = policy.previewed_terms == policies.terms_hash(policy)
    return "disabled", "Disabled, looked at" if looked_at else "Disabled"


def next_sweep(*, schedule: str, zone: str, now: datetime) -> str:
    """When the worker next sweeps a workspace, or that people do."""
    if schedule == RetentionSettings.Schedule.BY_HAND:
        return "By hand"
    weekly = schedule == RetentionSettings.Schedule.WEEKLY
    return display.moment(nights.following(now=now, zone=zone, weekly=weekly))


def next_run(policy: PolicyTerms, *, schedule: str, zone: str, now: datetime) -> str:
    """The night in which a policy next removes something; a dash for one that does not."""
    if not policy.enabled or policy.action == "retain":
        return display.moment(None)
    first = max(now, policy.acts_from) if policy.acts_from else now
    return next_sweep(schedule=schedule, zone=zone, now=first - timedelta(microseconds=1))


def held(hold: Hold) -> str:
    """What a hold covers."""
    name = display.shortened(getattr(hold, "target_name", None), 60)
    if hold.scope == Hold.Scope.WORKSPACE:
        return "Every thread of the workspace"
    if hold.scope == Hold.Scope.EXTERNAL_REF:
        return f"Threads of the reference “{display.shortened(hold.external_ref, 60)}”"
    if hold.scope == Hold.Scope.THREAD:
        return f"The thread “{name}”" if name else "One thread"
    return f"Threads of {hold.scope} “{name}”" if name else f"Threads of one {hold.scope}"


def size(octets: int) -> str:
    """Bytes, for reading: `3.4 MB`."""
    amount = float(octets)
    for unit in ("bytes", "kB", "MB", "GB"):
        if amount < 1000:
            return f"{amount:,.0f} {unit}" if unit == "bytes" else f"{amount:,.1f} {unit}"
        amount /= 1000
    return f"{amount:,.1f} TB"


def count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def ended(word: str) -> str:
    return ENDED.get(word, word)


def actions(counts: dict[str, Any]) -> str:
    """What was done: `120 archived, 3 destroyed for ever`."""
    parts = [f"{count:,} {DONE.get(action, action)}" for action, count in counts.items() if count]
    return ", ".join(parts) or "nothing"
