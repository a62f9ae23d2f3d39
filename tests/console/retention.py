"""What the tests of the retention pages have in common."""

import re

from django.test import Client

from tests.conftest import Tenant
from threadhub.audit.models import AuditEvent

POLICIES = "/admin/threads/retentionpolicy/"
SYSTEM = "/admin/threads/systempolicy/"
HOLDS = "/admin/threads/hold/"
TERMS = {"action": "archive", "days": "90", "counted_from": "last_activity", "scope": "workspace"}


def text_of(client: Client, address: str) -> str:
    answer = client.get(address)
    assert answer.status_code == 200, (address, answer.status_code)
    return " ".join(re.sub(r"<[^>]+>", " ", answer.content.decode()).split())


def plan_of(client: Client, tenant: Tenant) -> dict[str, str]:
    """What a browser posts from the page of a plan."""
    html = client.get(apply_page(tenant)).content.decode()
    found = re.search(r'name="plan" value="([^"]+)"', html)
    assert found is not None
    return {"plan": found[1]}


def apply_page(tenant: Tenant) -> str:
    return f"/admin/threads/retentionsettings/{tenant.workspace.wire_id}/apply/"


def actions_of(tenant: Tenant) -> list[str]:
    return list(AuditEvent.objects.filter(workspace_id=tenant.workspace.pk).values_list("action", flat=True))


def text_of_followed(client: Client, address: str) -> str:
    return client.post(address, follow=True).content.decode()
