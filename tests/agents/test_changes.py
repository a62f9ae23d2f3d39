"""What the trail tells of those parts of an agent that no version holds."""

from datetime import timedelta

import pytest
from django.utils import timezone

from chat_sessions import sessions
from tests.conftest import Tenant
from threadhub.agents import browsers, changes, configure
from threadhub.audit.models import AuditEvent
from threadhub.workspaces import managed_keys
from threadhub.workspaces.models import User
from threadhub.workspaces.permissions import Scope

pytestmark = pytest.mark.django_db


def change(tenant: Tenant, **fields: object) -> dict[str, object]:
    """The details of the event that it left."""
    configure.change(actor=tenant.actor, agent=tenant.agent, now=timezone.now(), **fields)  # type: ignore[arg-type]
    event = AuditEvent.objects.filter(action="agent.update").latest("created_at")
    return {name: value for name, value in event.details.items() if name != "fields"}


def test_only_what_differs_is_told(tenant: Tenant, alice: User) -> None:
    assert change(tenant, active=True, allowed_origins=[], instructions="Be kind.") == {"version": 2}
    assert change(tenant, active=False, allowed_users=[alice.pk]) == {
        "active": [True, False],
        "limited": [False, True],
        "allowed_users": {"added": [alice.wire_id], "removed": []},
    }
    assert change(tenant, allowed_users=[]) == {
        "limited": [True, False],
        "allowed_users": {"added": [], "removed": [alice.wire_id]},
    }


def test_long_lists_are_counted_beyond_some(tenant: Tenant) -> None:
    origins = [f"https://shop{number}.example" for number in range(70)]
    told = change(tenant, allowed_origins=origins)["allowed_origins"]
    assert told == {"added": origins[: changes.NAMED], "removed": [], "more": 70 - changes.NAMED}
    told = change(tenant, allowed_origins=origins[::-1])
    assert told == {}  # the same ones in another order


def test_a_new_agent_tells_what_is_not_as_usual(tenant: Tenant) -> None:
    configure.create(actor=tenant.actor, name="New", active=False, allowed_roles=["viewer"])
    details = AuditEvent.objects.filter(action="agent.create").latest("created_at").details
    assert details == {
        "fields": ["active", "allowed_roles", "name"],
        "active": [True, False],
        "limited": [False, True],
        "allowed_roles": {"added": ["viewer"], "removed": []},
        "version": 1,
    }


def test_a_key_is_told_by_a_word_and_only_where_there_was_one(tenant: Tenant) -> None:
    for do in (browsers.withdraw_public_key, browsers.new_public_key, browsers.new_public_key):
        do(actor=tenant.actor, agent=tenant.agent, now=timezone.now())
    browsers.withdraw_public_key(actor=tenant.actor, agent=tenant.agent, now=timezone.now())
    events = AuditEvent.objects.filter(action="agent.update").order_by("created_at")
    assert [event.details.get("public_key") for event in events] == [None, "made", "renewed", "withdrawn"]
    assert changes.of_agent(actor=tenant.actor, agent=tenant.agent).count() == 3


def test_events_of_sessions_and_other_agents_are_no_part_of_it(tenant: Tenant) -> None:
    second = configure.create(actor=tenant.actor, name="Second")
    change(tenant, active=False)
    sessions.open(actor=tenant.actor, agent_id=second.pk, external_ref="somebody", now=timezone.now())
    assert AuditEvent.objects.filter(ids__contains=[second.wire_id]).count() == 2
    assert changes.of_agent(actor=tenant.actor, agent=tenant.agent).count() == 1
    assert not changes.of_agent(actor=tenant.actor, agent=second).exists()


def test_keys_of_its_end_users_are_no_part_of_it(tenant: Tenant) -> None:
    """A product makes one for each of its users; the one that staff made for the agent is told."""
    for name, end_user in (("door", None), ("app", "customer-5")):
        key, _ = managed_keys.create(
            actor=tenant.actor, name=name, scopes=[Scope.READ], now=timezone.now(), agent_id=tenant.agent.pk,
            end_user=end_user,
        )  # fmt: skip
        managed_keys.change(actor=tenant.actor, key=key, now=timezone.now(), name=f"{name} 2")
        managed_keys.rotate(actor=tenant.actor, key=key, overlap=timedelta(0), now=timezone.now())
        managed_keys.revoke(actor=tenant.actor, key=key, now=timezone.now())
        told = changes.of_agent(actor=tenant.actor, agent=tenant.agent).filter(ids__contains=[key.wire_id])
        actions = ["api_key.revoke", "api_key.rotate", "api_key.change", "api_key.create"] if end_user is None else []
        assert [event.action for event in told] == actions
