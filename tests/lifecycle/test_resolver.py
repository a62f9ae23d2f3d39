"""The resolver against an oracle that was written apart from it, and its edges by hand."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.lifecycle.oracle import DAY, expected
from threads.lifecycle.resolver import Decision, Facts, Reason, Rule, contains, resolve

NOW = datetime(2025, 6, 1, 12, tzinfo=UTC)
ORIGIN = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
NOW_US = (NOW - ORIGIN) // MICROSECOND
THREAD, AGENT, OTHER = UUID(int=1), UUID(int=2), UUID(int=3)


def moment(microseconds: int | None) -> datetime | None:
    return None if microseconds is None else ORIGIN + microseconds * MICROSECOND


# Around whole days before now, a microsecond to either side, and in the future.
times = st.builds(
    lambda days, off: NOW_US - days * DAY + off, st.integers(-3, 40), st.sampled_from([-DAY // 2, -1, 0, 0, 1])
)
maybe = st.none() | times
threads = st.fixed_dictionaries(
    {
        "id": st.just(THREAD),
        "agent": st.just(AGENT),
        "state": st.sampled_from(["active", "active", "archived", "trashed"]),
        "created": times,
        "last_activity": maybe,
        "archived": maybe,
        "trashed": maybe,
        "purge_after": maybe,
        "external_ref": st.sampled_from([None, "", "eu-1", "us-1"]),
        "plan": st.sampled_from([None, "gold"]),
        "origin": st.sampled_from(["direct", "chat_session"]),
        "pinned": st.sampled_from([False, False, False, True]),
        "exempt": st.none() | times,
        "running": st.sampled_from([False, False, True]),
        "agent_known": st.sampled_from([True, True, True, False]),
        "erasure": st.sampled_from([False] * 9 + [True]),
        "held": st.sampled_from([False] * 9 + [True]),
        "trash_on": st.booleans(),
    }
)
policies = st.fixed_dictionaries(
    {
        "level": st.sampled_from(["thread", "agent", "workspace", "system"]),
        "target": st.sampled_from([THREAD, AGENT, OTHER]),
        "action": st.sampled_from(["retain", "archive", "trash", "purge", "purge"]),
        "from": st.sampled_from(["created", "last_activity", "archived", "trashed"]),
        "days": st.sampled_from([1, 2, 7, 29, 30]),
        "prefix": st.sampled_from([None, None, "eu-", "us-"]),
        "plan": st.sampled_from([None, None, "gold"]),
        "origin": st.sampled_from([None, None, "direct"]),
        "acts_from": st.none() | times,
    }
)


def facts(thread: dict[str, Any]) -> Facts:
    return Facts(
        id=thread["id"],
        agent_id=thread["agent"],
        state=thread["state"],
        created_at=moment(thread["created"]),
        last_activity_at=moment(thread["last_activity"]),
        archived_at=moment(thread["archived"]),
        trashed_at=moment(thread["trashed"]),
        purge_after=moment(thread["purge_after"]),
        external_ref=thread["external_ref"],
        metadata={"plan": thread["plan"], "seats": 4} if thread["plan"] else {},
        origin=thread["origin"],
        pinned=thread["pinned"],
        exempt_until=moment(thread["exempt"]),
        running=thread["running"],
        agent_known=thread["agent_known"],
        erasure_requested=thread["erasure"],
    )


def rule(policy: dict[str, Any]) -> Rule:
    return Rule(
        id=policy["id"],
        level=policy["level"],
        action=policy["action"],
        counted_from=policy["from"],
        days=policy["days"],
        target_id=policy["target"],
        external_ref_prefix=policy["prefix"],
        metadata={"plan": policy["plan"]} if policy["plan"] else None,
        origin=policy["origin"],
        acts_from=moment(policy["acts_from"]),
    )


def drawn(random: Random) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """A case by dice: what hypothesis draws, a hundred times as fast."""

    def time() -> int:
        return NOW_US - random.randint(-3, 40) * DAY + random.choice([-DAY // 2, -1, 0, 0, 1])

    def maybe_time() -> int | None:
        return random.choice([None, time()])

    thread = {
        "id": THREAD,
        "agent": AGENT,
        "state": random.choice(["active", "active", "archived", "trashed"]),
        "created": time(),
        **{name: maybe_time() for name in ("last_activity", "archived", "trashed", "purge_after", "exempt")},
        "external_ref": random.choice([None, "", "eu-1", "us-1"]),
        "plan": random.choice([None, "gold"]),
        "origin": random.choice(["direct", "chat_session"]),
        "trash_on": random.choice([True, False]),
        "agent_known": random.random() < 0.8,
        **{name: random.random() < 0.15 for name in ("pinned", "running", "erasure", "held")},
    }
    listed = [
        {
            "level": random.choice(["thread", "agent", "workspace", "system"]),
            "target": random.choice([THREAD, AGENT, OTHER]),
            "action": random.choice(["retain", "archive", "trash", "purge", "purge"]),
            "from": random.choice(["created", "last_activity", "archived", "trashed"]),
            "days": random.choice([1, 2, 7, 29, 30]),
            "prefix": random.choice([None, None, "eu-", "us-"]),
            "plan": random.choice([None, None, "gold"]),
            "origin": random.choice([None, None, "direct"]),
            "acts_from": maybe_time(),
        }
        for _ in range(random.randint(0, 6))
    ]
    return thread, listed


def test_it_decides_as_the_oracle_does_in_twenty_thousand_cases() -> None:
    random = Random(5)
    reasons = set()
    for _ in range(20_000):
        thread, listed = drawn(random)
        check_against_oracle(thread, listed)
        reasons.add(resolve(facts(thread), [], now=NOW, held=thread["held"]).reason)
    assert len(reasons) > 4


@settings(max_examples=300, deadline=None)
@given(threads, st.lists(policies, max_size=6))
def test_it_decides_as_the_oracle_does(thread: dict[str, Any], listed: list[dict[str, Any]]) -> None:
    check_against_oracle(thread, listed)


def check_against_oracle(thread: dict[str, Any], listed: list[dict[str, Any]]) -> None:
    numbered = [{**policy, "id": UUID(int=100 + number)} for number, policy in enumerate(listed)]
    rules = [rule(policy) for policy in numbered]
    decision = resolve(facts(thread), rules, now=NOW, held=thread["held"], trash_on=thread["trash_on"])
    assert (decision.action, decision.reason.value) == expected(thread, numbered, NOW_US)
    backwards = resolve(facts(thread), rules[::-1], now=NOW, held=thread["held"], trash_on=thread["trash_on"])
    assert backwards == decision


@settings(max_examples=300, deadline=None)
@given(threads, st.lists(policies, max_size=6))
def test_what_it_foretells_happens_then_and_not_a_microsecond_before(
    thread: dict[str, Any], listed: list[dict[str, Any]]
) -> None:
    rules = [rule({**policy, "id": UUID(int=100 + number)}) for number, policy in enumerate(listed)]
    known = facts({**thread, "running": False, "agent_known": True, "erasure": False})
    foretold = resolve(known, rules, now=NOW, trash_on=True)
    if foretold.at is None or foretold.action is not None:
        return
    assert resolve(known, rules, now=foretold.at, trash_on=True).action is not None
    assert resolve(known, rules, now=foretold.at - MICROSECOND, trash_on=True).action is None


def one(days: int, **fields: Any) -> list[Rule]:
    return [
        Rule(
            **{
                "id": UUID(int=9),
                "level": "workspace",
                "action": "purge",
                "counted_from": "last_activity",
                "days": days,
                **fields,
            }
        )
    ]


def at(moment: datetime, **fields: Any) -> Facts:
    return Facts(**{"id": THREAD, "agent_id": AGENT, "state": "active", "created_at": moment, **fields})


@pytest.mark.parametrize(
    ("start", "days", "end"),
    [
        (datetime(2024, 2, 29, tzinfo=UTC), 365, datetime(2025, 2, 28, tzinfo=UTC)),
        (
            datetime(2024, 2, 28, 23, 59, 59, 999999, tzinfo=UTC),
            1,
            datetime(2024, 2, 29, 23, 59, 59, 999999, tzinfo=UTC),
        ),
        (datetime(2023, 2, 28, tzinfo=UTC), 1, datetime(2023, 3, 1, tzinfo=UTC)),
        # The nights in which Berlin's clocks jump: a day stays 24 hours, so the wall clock shows another hour.
        (
            datetime(2025, 3, 29, 2, 30, tzinfo=ZoneInfo("Europe/Berlin")),
            1,
            datetime(2025, 3, 30, 3, 30, tzinfo=ZoneInfo("Europe/Berlin")),
        ),
        (
            datetime(2025, 10, 25, 2, 30, tzinfo=ZoneInfo("Europe/Berlin")),
            1,
            datetime(2025, 10, 26, 2, 30, fold=0, tzinfo=ZoneInfo("Europe/Berlin")),
        ),
    ],
)
def test_the_cutoff_to_the_microsecond(start: datetime, days: int, end: datetime) -> None:
    thread = at(start.astimezone(UTC))
    end = end.astimezone(UTC)
    assert resolve(thread, one(days), now=end - MICROSECOND) == Decision(None, Reason.NOT_DUE, one(days)[0], end)
    assert resolve(thread, one(days), now=end).action == "purge"
    assert resolve(thread, one(days), now=end + MICROSECOND).action == "purge"


def test_a_missing_time_is_never_old_and_a_future_one_not_yet() -> None:
    assert resolve(at(None), one(1), now=NOW).action is None  # type: ignore[arg-type]
    ahead = at(NOW - timedelta(days=9), last_activity_at=NOW + timedelta(days=9))
    assert resolve(ahead, one(1), now=NOW) == Decision(None, Reason.NOT_DUE, one(1)[0], NOW + timedelta(days=10))
    assert resolve(at(NOW), one(1, counted_from="archived"), now=NOW + timedelta(days=99)).reason == Reason.NO_POLICY


def test_an_empty_thread_counts_from_its_making() -> None:
    assert resolve(at(NOW - timedelta(days=1)), one(1), now=NOW).action == "purge"


@pytest.mark.parametrize("broken", [{"days": 0}, {"action": "burn"}, {"counted_from": "updated"}])
def test_what_cannot_be_read_does_nothing_and_says_so(broken: dict[str, Any]) -> None:
    rules = [*one(1), replace(one(1)[0], id=UUID(int=10), **broken)]
    assert resolve(at(NOW - timedelta(days=99)), rules, now=NOW) == Decision(None, Reason.UNREADABLE)


def test_no_number_of_days_is_too_large() -> None:
    assert resolve(at(NOW), one(10**9 - 1), now=NOW).action is None


@pytest.mark.parametrize(
    ("whole", "part", "holds"),
    [
        ({"a": 1}, {}, True),
        ({"a": {"b": [1, 2, {"c": 3}]}}, {"a": {"b": [{"c": 3}, 1]}}, True),
        ({"a": True}, {"a": 1}, False),
        ({"a": 1}, {"a": 1.0}, True),
        ({"a": None}, {"a": None}, True),
        ({}, {"a": None}, False),
        ({"a": [1]}, {"a": [1, 2]}, False),
    ],
)
def test_metadata_is_contained_as_the_database_has_it(whole: Any, part: Any, holds: bool) -> None:
    assert contains(whole, part) is holds
