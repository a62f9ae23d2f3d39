"""A chain of events, and somebody who can switch the database's guards off."""

from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest
from django.db import connection, transaction

from tests.conftest import Tenant
from threadhub import audit
from threadhub.audit import linking, verifying
from threadhub.audit.models import AuditEvent
from threadhub.audit.verifying import Fault, Head

Tamper = Callable[..., None]


@pytest.fixture
def chain(tenant: Tenant) -> list[AuditEvent]:
    """Ten linked events at the end of the tenant's chain, as they were written."""
    before = audit.origin.set(audit.Origin("rest", "192.0.2.7", "curl/8", "request-1"))
    for number in range(10):
        audit.record(actor=tenant.actor, action="thread.update", ids=[f"thread_{number}"], details={"number": number})
    audit.origin.reset(before)
    linking.link_all()
    return list(AuditEvent.objects.filter(action="thread.update").order_by("seq"))


@pytest.fixture
def tamper(db: None) -> Tamper:
    """Execute SQL as a superuser does who has switched the triggers off."""

    def execute(sql: str, *parameters: Any) -> None:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SET LOCAL session_replication_role = replica")
            cursor.execute(sql, parameters)
            cursor.execute("SET LOCAL session_replication_role = origin")

    return execute


def faults(workspace_id: UUID, *noted: Head) -> list[tuple[str, int]]:
    found = verifying.verify(workspace_id=workspace_id, noted=noted)
    return [(fault.kind, fault.seq) for fault in found if isinstance(fault, Fault)]
