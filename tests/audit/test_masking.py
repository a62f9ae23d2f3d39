"""An erasure takes values out of the trail, and the chain stays whole."""

from tests.audit.conftest import Tamper, faults
from tests.conftest import Tenant
from threadhub import audit
from threadhub.audit import linking
from threadhub.audit.masking import mask
from threadhub.audit.models import AuditEvent


def test_masked_values_are_gone_and_the_chain_is_whole(chain: list[AuditEvent], tenant: Tenant) -> None:
    event = chain[4]
    changed = mask(
        actor=tenant.actor, event_ids=[event.pk], names=["address", "details.number", "details.none"], reason="erasure"
    )
    assert changed == 1
    event.refresh_from_db()
    assert (event.address, event.details, event.user_agent) == (None, {"number": None}, "curl/8")
    assert event.salt is None
    assert set(event.masked or {}) == {"address", "details.number"}
    assert not {"address", "details.number"} & set(event.salts or {})
    assert faults(tenant.workspace.pk) == []

    mask(actor=tenant.actor, event_ids=[event.pk], names=["user_agent"], reason="erasure")
    event.refresh_from_db()
    assert event.user_agent is None
    assert faults(tenant.workspace.pk) == []


def test_a_masking_is_an_event_itself(chain: list[AuditEvent], tenant: Tenant) -> None:
    mask(actor=tenant.actor, event_ids=[chain[4].pk, chain[5].pk], names=["address"], reason="erasure")
    told = AuditEvent.objects.get(action="audit_event.mask")
    assert set(told.ids) == {chain[4].wire_id, chain[5].wire_id}
    assert told.details == {"names": ["address"], "reason": "erasure"}


def test_an_event_can_be_masked_before_it_is_linked(tenant: Tenant) -> None:
    audit.record(actor=tenant.actor, action="thread.delete", ids=[], details={"who": "alice@example.org"})
    event = AuditEvent.objects.get(action="thread.delete")
    mask(actor=tenant.actor, event_ids=[event.pk], names=["details.who"], reason="erasure")
    linking.link_all()
    assert faults(tenant.workspace.pk) == []


def test_nothing_of_another_workspace_is_masked(chain: list[AuditEvent], other_tenant: Tenant) -> None:
    assert mask(actor=other_tenant.actor, event_ids=[chain[0].pk], names=["address"], reason="mine") == 0
    chain[0].refresh_from_db()
    assert chain[0].address == "192.0.2.7"


def test_a_value_put_back_in_the_place_of_a_masked_one_is_seen(
    chain: list[AuditEvent], tenant: Tenant, tamper: Tamper
) -> None:
    mask(actor=tenant.actor, event_ids=[chain[4].pk], names=["address", "details.number"], reason="erasure")
    tamper("UPDATE audit_auditevent SET details = '{\"number\": 9}' WHERE id = %s", chain[4].pk)
    tamper("UPDATE audit_auditevent SET address = '192.0.2.9' WHERE id = %s", chain[4].pk)
    assert faults(tenant.workspace.pk) == [("altered", chain[4].seq)]


def test_a_masking_that_left_no_event_is_seen(chain: list[AuditEvent], tenant: Tenant, tamper: Tamper) -> None:
    mask(actor=tenant.actor, event_ids=[chain[4].pk], names=["address"], reason="erasure")
    tamper("DELETE FROM audit_auditevent WHERE action = 'audit_event.mask'")
    assert ("unmarked", chain[4].seq) in faults(tenant.workspace.pk)
