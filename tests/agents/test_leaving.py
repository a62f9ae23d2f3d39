"""Members who leave, and keys that end."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from tests.conftest import Tenant, make_user
from threadhub.agents import configure, leaving
from threadhub.audit.models import AuditEvent
from threadhub.workspaces.permissions import Role

pytestmark = pytest.mark.django_db


def left(tenant: Tenant, name: str, agents: int) -> tuple[int, int]:
    """How many queries it takes that somebody leaves whom so many agents name, and how many agents' histories tell."""
    actor, user = tenant.actor, make_user(name, tenant.workspace, Role.MEMBER)
    for number in range(agents):
        configure.create(actor=actor, name=f"{name} {number}", allowed_users=[user.pk])
    with CaptureQueriesContext(connection) as queries:
        leaving.remove_member(actor=actor, user_id=user.pk, now=timezone.now())
    gone = {"added": [], "removed": [user.wire_id]}
    return len(queries), AuditEvent.objects.filter(action="agent.update", details__allowed_users=gone).count()


def test_it_costs_the_same_however_many_agents_name_them(tenant: Tenant) -> None:
    few, many = left(tenant, "mia", 1), left(tenant, "max", 7)
    assert (few[1], many[1]) == (1, 7)
    assert few[0] == many[0]
