"""The audit trail in the console: who did something is told by name, and found by it."""

import pytest
from django.test import Client
from django.utils import timezone

from tests.conftest import Tenant, make_user
from tests.console.conftest import signed_in
from tests.console.retention import text_of
from threadhub import audit
from threadhub.lib import ids
from threadhub.workspaces import end_users, keys
from threadhub.workspaces.models import User
from threadhub.workspaces.permissions import Role

TRAIL = "/admin/audit/auditevent/"


@pytest.fixture
def officer(tenant: Tenant) -> Client:
    """A compliance officer of one workspace."""
    user = make_user("cleo", tenant.workspace, Role.COMPLIANCE)
    User.objects.filter(pk=user.pk).update(is_staff=True)
    return signed_in(user)


def test_who_did_it_is_told_and_found_by_name(officer: Client, tenant: Tenant) -> None:
    actress = make_user("mallory", tenant.workspace, Role.MEMBER)
    visitor = end_users.find_or_make(workspace_id=tenant.workspace.pk, name="customer-42", now=timezone.now())
    key, _ = keys.create(workspace=tenant.workspace, user=tenant.owner, name="Shop")
    who = {"mallory": f"user:{actress.pk}", "customer-42": f"user:{visitor}", "key “Shop”": f"key:{key.pk}"}
    for name, identity in who.items():
        audit.record(
            actor=audit.By(identity, tenant.workspace.pk), action=f"thing.{len(name)}", ids=["x"], details={"n": name}
        )
    shown = text_of(officer, f"{TRAIL}?about=x")
    assert all(name in shown for name in who)
    assert not any(identity in shown for identity in who.values())
    spelled = ("mallory", "customer-42", ids.encode("key", key.pk), who["mallory"], ids.encode("user", visitor))
    found = [text_of(officer, f"{TRAIL}?about=x&actor={each}").count("thing.") for each in spelled]
    assert found == [1, 1, 1, 1, 1]
    assert "thing." not in text_of(officer, f"{TRAIL}?about=x&actor=nobody")
