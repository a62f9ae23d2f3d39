"""Threads behind askings without a thread go once they are answered; those on hold wait, and keep no other waiting."""

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from tests.conftest import Tenant
from threads.actions import temporary, threads
from threads.lifecycle import holds
from threads.models import Thread

LATER = timedelta(hours=1)


@pytest.fixture
def answered(tenant: Tenant, other_tenant: Tenant) -> list[Thread]:
    """The oldest of the one tenant, the younger of the other."""
    return [
        temporary.create(actor=each.actor, agent_id=each.agent.pk, now=timezone.now())
        for each in (tenant, other_tenant)
    ]


@pytest.mark.usefixtures("answered")
def test_they_go_after_ten_minutes() -> None:
    assert temporary.remove_answered(now=timezone.now()) == 0
    assert temporary.remove_answered(now=timezone.now() + LATER) == 2
    assert Thread.objects.count() == 0


def test_one_on_hold_keeps_no_other_waiting(tenant: Tenant, answered: list[Thread]) -> None:
    hold = holds.place(actor=tenant.actor, scope="agent", target_id=tenant.agent.pk, reason="case", now=timezone.now())
    assert temporary.remove_answered(now=timezone.now() + LATER) == 1
    assert Thread.objects.get() == answered[0]
    holds.release(actor=tenant.actor, hold=hold, now=timezone.now())
    assert temporary.remove_answered(now=timezone.now() + LATER) == 1


def test_a_hold_that_comes_in_between_keeps_no_other_waiting(
    tenant: Tenant, answered: list[Thread], monkeypatch: pytest.MonkeyPatch
) -> None:
    delete = threads.delete

    def held_meanwhile(*, thread: Thread, **more: Any) -> None:
        if thread == answered[0]:
            raise holds.ThreadHeld
        delete(thread=thread, **more)

    monkeypatch.setattr(threads, "delete", held_meanwhile)
    assert temporary.remove_answered(now=timezone.now() + LATER) == 1
    assert Thread.objects.get() == answered[0]
