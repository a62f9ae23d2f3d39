"""Threads that were there before a sweep are there after it, or have a tombstone."""

from typing import Any

import pytest
from django.utils import timezone

from tests.conftest import Tenant
from tests.lifecycle.conftest import old_thread, policy
from threads.actions import threads
from threads.lifecycle import acts, apply, candidates, census
from threads.lifecycle.batches import Bounds
from threads.lifecycle.candidates import Selection
from threads.models import Message, Thread


def test_threads_are_counted_at_one_moment(tenant: Tenant, django_assert_num_queries: Any) -> None:
    """What a client destroys between two questions would count twice."""
    old_thread(tenant)
    acts.delete(actor=tenant.actor, thread=old_thread(tenant), now=timezone.now())
    with django_assert_num_queries(1):
        found = census.take(workspace_id=tenant.workspace.pk, until=timezone.now())
    assert found == {"active": 1, "archived": 0, "trashed": 0, "purged": 1}


@pytest.mark.parametrize("meanwhile", ["came", "came and went"])
def test_a_thread_that_vanished_is_missed_whatever_happened_meanwhile(tenant: Tenant, meanwhile: str) -> None:
    for _ in range(3):
        old_thread(tenant)
    lost = old_thread(tenant, 1)
    policy(tenant)

    def lose(taken: int) -> None:
        if Thread.objects.filter(pk=lost.pk).exists():
            Message.objects.filter(thread=lost).delete()
            Thread.objects.filter(pk=lost.pk).delete()
            made = threads.create(actor=tenant.actor, agent_id=tenant.agent.pk, now=timezone.now())
            if meanwhile == "came and went":
                threads.delete(actor=tenant.actor, thread=made, now=timezone.now())

    with pytest.raises(census.CountsDoNotAgree):
        apply.apply(
            selection=Selection(workspace_id=tenant.workspace.pk),
            cutoff=candidates.database_now(),
            bounds=Bounds(pause=0),
            progress=lose,
        )
