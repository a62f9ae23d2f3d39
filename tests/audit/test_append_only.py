"""The database itself refuses to change or remove an audit event."""

from typing import Any

import pytest
from django.db import DatabaseError, connection, transaction

from tests.conftest import Tenant
from threadhub import audit
from threadhub.audit import linking
from threadhub.audit.models import AuditEvent, AuditHead


@pytest.fixture
def event(tenant: Tenant) -> AuditEvent:
    audit.record(actor=tenant.actor, action="thread.delete", ids=["thread_1"], details={"title": None, "count": 3})
    return AuditEvent.objects.get(action="thread.delete")


def refused(sql: str, parameters: Any = None) -> None:
    message = r"append-only|only moves on"
    with pytest.raises(DatabaseError, match=message), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(sql, parameters)


@pytest.mark.parametrize("linked", [False, True])
def test_it_refuses_delete_truncate_and_any_change(event: AuditEvent, linked: bool) -> None:
    if linked:
        linking.link_all()
    for statement in (
        "DELETE FROM audit_auditevent",
        "DELETE FROM audit_auditevent WHERE false",
        "TRUNCATE audit_auditevent",
        "UPDATE audit_auditevent SET action = 'thread.read'",
        "UPDATE audit_auditevent SET created_at = created_at + interval '1 day'",
        "UPDATE audit_auditevent SET details = '{}'",
        "UPDATE audit_auditevent SET address = NULL, details = details || '{\"count\": null}'",
        "UPDATE audit_auditevent SET seq = 1",
        "UPDATE audit_auditevent SET seq = 700, previous = '\\x00', hash = '\\x00', actor = 'x'",
    ):
        refused(statement)


def test_it_refuses_to_link_an_event_twice(event: AuditEvent) -> None:
    linking.link_all()
    refused("UPDATE audit_auditevent SET seq = 2, previous = '\\x00', hash = '\\x00'")


def test_the_end_of_a_chain_only_moves_on(event: AuditEvent) -> None:
    linking.link_all()
    assert AuditHead.objects.filter(seq__gte=1).exists()
    refused("UPDATE audit_audithead SET seq = seq")
    refused("UPDATE audit_audithead SET seq = seq - 1")
    refused("DELETE FROM audit_audithead")
    refused("TRUNCATE audit_audithead")


def test_an_event_of_a_write_that_was_rolled_back_is_not_there(tenant: Tenant) -> None:
    with transaction.atomic():
        audit.record(actor=tenant.actor, action="thread.delete", ids=["thread_1"])
        transaction.set_rollback(True)
    assert not AuditEvent.objects.filter(action="thread.delete").exists()
