"""What changes between a plan and a batch, or between two batches, is what counts."""

from collections.abc import Callable
from typing import Any

import pytest
from django.utils import timezone

from tests.conftest import Tenant
from tests.lifecycle.conftest import old_thread, policy, sweep
from threads.actions.messages import Draft, append
from threads.lifecycle import candidates, forecast, holds, plan, policies, sweeper
from threads.lifecycle.candidates import Selection
from threads.lifecycle.erasure import erasures
from threads.lifecycle.models import RetentionSettings
from threads.models import Erasure, Thread


def test_a_hold_that_comes_between_plan_and_batch_is_kept(tenant: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    policy(tenant)
    threads = [old_thread(tenant) for _ in range(4)]
    after_first = _after_first_batch(
        monkeypatch,
        lambda: holds.place(
            actor=tenant.actor, scope="thread", target_id=threads[2].pk, reason="case", now=timezone.now()
        ),
    )
    done = sweep(tenant, batch_size=2)
    assert after_first
    assert (done.plan.total, done.taken, done.skips["held"]) == (4, 3, 1)
    assert Thread.objects.get() == threads[2]


def test_a_message_that_comes_between_plan_and_batch_saves_its_thread(
    tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    policy(tenant)
    threads = [old_thread(tenant) for _ in range(4)]
    say = [Draft(role="user", content="hello again")]
    _after_first_batch(monkeypatch, lambda: append(actor=tenant.actor, thread=threads[3], drafts=say))
    assert sweep(tenant, batch_size=2).taken == 3
    assert Thread.objects.get() == threads[3]


def test_a_policy_that_is_disabled_mid_sweep_stops(tenant: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    made = policy(tenant)
    for _ in range(4):
        old_thread(tenant)
    _after_first_batch(monkeypatch, lambda: policies.disable(actor=tenant.actor, policy=made, now=timezone.now()))
    assert sweep(tenant, batch_size=2).taken == 2


def test_a_trash_that_is_turned_off_mid_sweep_takes_no_more(tenant: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    RetentionSettings.objects.create(workspace=tenant.workspace, trash_days=7)
    policy(tenant, "trash")
    for _ in range(4):
        old_thread(tenant)
    _after_first_batch(monkeypatch, lambda: RetentionSettings.objects.update(trash_days=0))
    done = sweep(tenant, batch_size=2)
    assert (dict(done.actions), dict(done.skips)) == ({"trash": 2}, {"trash_off": 2})


def test_a_trash_that_is_prolonged_mid_sweep_keeps_longer(tenant: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    RetentionSettings.objects.create(workspace=tenant.workspace, trash_days=7)
    policy(tenant, "trash")
    every = [old_thread(tenant, 100 - n) for n in range(4)]
    _after_first_batch(monkeypatch, lambda: RetentionSettings.objects.update(trash_days=30))
    done = sweep(tenant, batch_size=2)
    kept = dict(Thread.objects.values_list("pk", "purge_after"))
    assert [(kept[thread.pk] - done.plan.cutoff).days for thread in every] == [7, 7, 30, 30]


def test_a_cap_that_is_set_mid_sweep_counts_from_then_on(tenant: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    RetentionSettings.objects.create(workspace=tenant.workspace)
    policy(tenant)
    for _ in range(4):
        old_thread(tenant)
    _after_first_batch(monkeypatch, lambda: RetentionSettings.objects.update(daily_cap=5))
    assert sweep(tenant, batch_size=2).taken == 4
    assert RetentionSettings.objects.get().taken_since == 2


def _after_first_batch(monkeypatch: pytest.MonkeyPatch, act: Callable[[], Any]) -> list[int]:
    """Something happens once the first batch is committed."""
    seen: list[int] = []
    original = sweeper.stay_alone

    def stay_alone() -> None:
        seen.append(1)
        if len(seen) == 2:
            act()
        original()

    monkeypatch.setattr(sweeper, "stay_alone", stay_alone)
    return seen


def test_who_is_to_be_erased_is_left_to_the_erasure(tenant: Tenant, archive_directory: str) -> None:
    """An erasure that is confirmed and not through, as a crash leaves it; a hold is above it."""
    policy(tenant, "archive", 30)
    theirs, held, other = (old_thread(tenant, external_ref=reference) for reference in ("r", "r", "s"))
    officer = erasures.actors.system(tenant.workspace.pk)
    planned = erasures.plan(actor=officer, kind="external_ref", value="r", now=timezone.now())
    code = erasures.code_of(tenant.workspace.pk, planned.plan_hash)
    assert planned_actions(tenant) == ({"archive": 3}, {})  # nobody confirmed it
    erasures.confirm(actor=officer, erasure=planned, code=code, now=timezone.now())
    holds.place(actor=tenant.actor, scope="thread", target_id=held.pk, reason="case", now=timezone.now())
    done = sweep(tenant)
    assert planned_actions(tenant)[1] == {"erasure": 1, "held": 1}
    assert (dict(done.actions), dict(done.skips)) == ({"archive": 1}, {"erasure": 1, "held": 1})
    states = dict(Thread.objects.values_list("pk", "state"))
    assert states == {theirs.pk: "active", held.pk: "active", other.pk: "archived"}


def test_an_erasure_that_a_hold_blocks_keeps_nothing_from_its_policies(tenant: Tenant, archive_directory: str) -> None:
    policy(tenant, "archive", 30)
    theirs = old_thread(tenant, external_ref="r")
    officer = erasures.actors.system(tenant.workspace.pk)
    planned = erasures.plan(actor=officer, kind="external_ref", value="r", now=timezone.now())
    code = erasures.code_of(tenant.workspace.pk, planned.plan_hash)
    erasures.confirm(actor=officer, erasure=planned, code=code, now=timezone.now())
    assert not forecast.make(workspace_id=tenant.workspace.pk, now=timezone.now())
    Erasure.objects.update(state="blocked")
    assert forecast.make(workspace_id=tenant.workspace.pk, now=timezone.now())
    assert dict(sweep(tenant).actions) == {"archive": 1}
    assert Thread.objects.get(pk=theirs.pk).state == "archived"


def planned_actions(tenant: Tenant) -> tuple[dict[str, int], dict[str, int]]:
    selection = Selection(workspace_id=tenant.workspace.pk)
    foreseen = plan.make(selection=selection, cutoff=candidates.database_now())
    return dict(foreseen.actions), dict(foreseen.skips)
