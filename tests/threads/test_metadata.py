"""Threads by what their metadata holds."""

from uuid import UUID

import pytest
from django.utils import timezone

from tests.conftest import Tenant, make_tenant
from threadhub.isolation import scope
from threadhub.isolation.scope import Door
from threads.actions import threads
from threads.models import Thread

pytestmark = pytest.mark.django_db


def with_plan(plan: str) -> set[UUID]:
    return {thread.workspace_id for thread in Thread.objects.all().with_metadata({"plan": plan})}


def test_pairs_are_found_in_all_that_the_scope_shows_and_nowhere_else(tenant: Tenant) -> None:
    second, third = make_tenant("second"), make_tenant("third")
    for each in (tenant, second, third):
        metadata = {"plan": "gold", "of": str(third.workspace.pk)}
        threads.create(actor=each.actor, agent_id=each.agent.pk, metadata=metadata, now=timezone.now())
    one, two, three = tenant.workspace.pk, second.workspace.pk, third.workspace.pk
    with scope.within(one):
        assert with_plan("gold") == {one}
    with scope.within(one, two):
        assert with_plan("gold") == {one, two}
        assert with_plan("tin") == set()
    with scope.through(Door.COMMAND):
        assert with_plan("gold") == {one, two, three}
