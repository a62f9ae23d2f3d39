"""The precedence of LIFECYCLE, written a second time: as a table of lines tried from above, with whole microseconds
instead of dates, sets instead of loops. Shares no code with the resolver."""

from typing import Any

DAY = 86_400_000_000  # µs
STEPS = {
    ("archive", "active"), ("trash", "active"), ("trash", "archived"),
    ("purge", "active"), ("purge", "archived"), ("purge", "trashed"),
}  # fmt: skip


def starts(thread: dict[str, Any]) -> dict[str, int | None]:
    active = thread["last_activity"] if thread["last_activity"] is not None else thread["created"]
    return {
        "created": thread["created"],
        "last_activity": active,
        "archived": None if thread["state"] == "active" else thread["archived"],
        "trashed": thread["trashed"] if thread["state"] == "trashed" else None,
    }


def about(thread: dict[str, Any], policy: dict[str, Any]) -> bool:
    lines = {
        "thread": policy["target"] == thread["id"],
        "agent": policy["target"] == thread["agent"],
        "workspace": True,
        "system": True,
    }
    ref = thread["external_ref"] or ""
    prefix = policy["prefix"]
    plan = policy["plan"]
    return (
        lines[policy["level"]]
        and (policy["origin"] in (None, thread["origin"]))
        and (prefix is None or ref[: len(prefix)] == prefix)
        and (plan is None or thread["plan"] == plan)
    )


def ends(thread: dict[str, Any], policy: dict[str, Any]) -> int | None:
    start = starts(thread)[policy["from"]]
    return None if start is None else start + policy["days"] * DAY


def expected(thread: dict[str, Any], policies: list[dict[str, Any]], now: int) -> tuple[str | None, str]:
    mine = [policy for policy in policies if about(thread, policy)]
    retained = max((ends(thread, p) or 0 for p in mine if p["action"] == "retain"), default=0) > now
    rest = [
        (max(end, p["acts_from"] or end), ["archive", "trash", "purge"].index(p["action"]), p["id"], p)
        for p in mine
        if (p["action"], thread["state"]) in STEPS and (end := ends(thread, p)) is not None
    ]
    explicit = next(
        (v for v in ("thread", "agent", "workspace", "system") if any(r[3]["level"] == v for r in rest)), None
    )
    winner = min((r for r in rest if r[3]["level"] == explicit), key=lambda r: r[:3], default=None)
    window = thread["purge_after"] if thread["state"] == "trashed" else None
    if winner and winner[3]["action"] == "trash" and not thread["trash_on"]:
        choice: tuple[int | None, str | None, str] = (None, None, "trash_off")
    elif window is not None and (winner is None or window <= winner[0]):
        choice = (window, "purge", "trash")
    elif winner:
        choice = (winner[0], winner[3]["action"], "policy")
    else:
        choice = (None, None, "no_policy")
    at, action, why = choice
    late = at is not None and at > now
    ripe = winner is not None and why == "policy" and (ends(thread, winner[3]) or 0) <= now
    table: list[tuple[bool, str | None, str]] = [
        (thread["held"], None, "held"),
        (thread["erasure"], "purge", "erasure"),
        (retained, None, "retained"),
        (thread["pinned"], None, "pinned"),
        (thread["exempt"] is not None and thread["exempt"] > now, None, "exempt"),
        (action is None, None, why),
        (late and ripe, None, "grace"),
        (late, None, "not_due"),
        (not thread["agent_known"], None, "agent_missing"),
        (thread["running"], None, "run_in_progress"),
        (True, action, why),
    ]
    return next((do, reason) for holds, do, reason in table if holds)
