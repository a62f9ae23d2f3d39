"""What a day brought, counted for the console's front page."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from tests.conftest import Tenant
from tests.threads.conftest import answer, ask
from threads import activity
from threads.actions import threads
from threads.models import DailyActivity, Thread
from threads.runs import end

pytestmark = pytest.mark.django_db(transaction=True)


def today() -> Any:
    return timezone.now().astimezone(UTC).date()


def row(tenant: Tenant) -> DailyActivity:
    return DailyActivity.objects.get(workspace=tenant.workspace)


def numbers(tenant: Tenant) -> tuple[int, ...]:
    found = row(tenant)
    return found.threads, found.messages, found.answers, found.failures


def test_a_day_is_counted_agent_by_agent(tenant: Tenant, other_tenant: Tenant, thread: Thread) -> None:
    threads.create(actor=other_tenant.actor, agent_id=other_tenant.agent.pk, now=timezone.now())
    answer(tenant, thread, "hello")
    answer(tenant, thread, "/fail provider_refused")
    activity.count(today())
    assert numbers(tenant) == (1, 3, 1, 1)
    assert sum(row(tenant).times.values()) == 1
    assert row(tenant).faults == {"echo/provider_refused": 1}
    assert numbers(other_tenant) == (1, 0, 0, 0)


def test_it_is_counted_anew_and_only_once(tenant: Tenant, thread: Thread) -> None:
    for expected in (2, 4):
        answer(tenant, thread, "hello")
        activity.count(today())
        assert numbers(tenant) == (1, expected, expected // 2, 0)
    activity.count(today())
    assert numbers(tenant) == (1, 4, 2, 0)


def test_what_is_deleted_stays_counted(tenant: Tenant, thread: Thread) -> None:
    answer(tenant, thread, "hello")
    activity.count(today())
    threads.delete(actor=tenant.actor, thread=thread, now=timezone.now())
    activity.count(today())
    assert numbers(tenant) == (1, 2, 1, 0)
    assert sum(row(tenant).times.values()) == 1


def test_runs_that_nobody_took_are_faults(tenant: Tenant, thread: Thread) -> None:
    ask(tenant, thread, "anybody?")
    end.end_all_lost(now=timezone.now() + timedelta(hours=1))
    activity.count(today())
    assert row(tenant).faults == {"echo/not_taken": 1}


def test_other_days_are_left_alone(tenant: Tenant, thread: Thread) -> None:
    answer(tenant, thread, "hello")
    activity.count(today() - timedelta(days=1))
    activity.count(today() + timedelta(days=1))
    assert not DailyActivity.objects.exists()


@pytest.mark.parametrize(("minutes", "days"), [(1, 2), (29, 2), (31, 1), (24 * 60 - 1, 1)])
def test_yesterday_is_counted_while_it_has_just_ended(minutes: int, days: int, monkeypatch: Any) -> None:
    counted: list[Any] = []
    monkeypatch.setattr(activity, "count", counted.append)
    activity.count_recent(now=datetime(2026, 3, 1, tzinfo=UTC) + timedelta(minutes=minutes))
    assert [day.isoformat() for day in counted] == ["2026-02-28", "2026-03-01"][-days:]


@given(st.lists(st.floats(min_value=0.001, max_value=600), min_size=1, max_size=60), st.sampled_from([0.5, 0.95]))
def test_a_percentile_is_at_most_a_quarter_too_long(seconds: list[float], share: float) -> None:
    counts: dict[str, int] = {}
    for each in seconds:
        bucket = str(sum(bound <= each for bound in activity.BOUNDS))  # as width_bucket
        counts[bucket] = counts.get(bucket, 0) + 1
    ranked = sorted(seconds)
    true = next(each for at, each in enumerate(ranked, 1) if at >= share * len(ranked))
    found = activity.percentile([counts], share)
    assert found is not None
    assert true <= found <= max(true * 1.2501, activity.BOUNDS[0])


def test_there_is_no_percentile_of_nothing() -> None:
    assert activity.percentile([], 0.5) is None
    assert activity.percentile([{}], 0.5) is None
