"""`manage.py verify_audit` names what somebody did to the trail behind the triggers' back."""

import io
import json
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import connection, transaction

from tests.audit.conftest import Tamper, faults
from tests.conftest import Tenant
from threadhub import audit
from threadhub.audit import chain as chains
from threadhub.audit import linking
from threadhub.audit.models import AuditEvent, AuditHead
from threadhub.audit.verifying import Head


def verified(*options: str) -> tuple[int, str]:
    """Exit code and output."""
    out = io.StringIO()
    code = 0
    try:
        call_command("verify_audit", *options, stdout=out, no_color=True)
    except SystemExit as end:
        code = int(end.code or 0)
    return code, out.getvalue()


def test_a_genuine_trail_holds(chain: list[AuditEvent], tenant: Tenant) -> None:
    code, said = verified()
    assert code == 0
    assert f"{tenant.workspace.wire_id}: {chain[-1].seq} events, no faults" in said
    assert "The audit trail is as it was written." in said


def test_it_links_what_waits_before_it_reads(chain: list[AuditEvent], tenant: Tenant) -> None:
    audit.record(actor=tenant.actor, action="thread.delete", ids=["thread_x"])
    rows = [json.loads(line) for line in verified("--json")[1].splitlines()]
    row = next(row for row in rows if row["workspace"] == tenant.workspace.wire_id)
    assert (row["events"], row["faults"]) == (chain[-1].seq + 1, 0)  # type: ignore[operator]


ALTERATIONS = [
    "action = 'thread.read'",
    "actor = 'system'",
    "created_at = created_at + interval '1 microsecond'",
    "ids = '{thread_9}'",
    "details = '{\"number\": 4}'",
    "details = '{}'",
    "details = details || '{\"more\": null}'",
    "address = '192.0.2.8'",
    "address = NULL",
    "user_agent = NULL",
    "on_behalf_of = 'user:1'",
    "face = 'ai'",
    "request_id = ''",
    "salt = '\\x00'",
    "id = gen_random_uuid()",
    "hash = '\\x00'",
    'masked = \'{"address": "00"}\', address = NULL',
]


@pytest.mark.parametrize("change", ALTERATIONS)
def test_it_names_an_altered_record(change: str, chain: list[AuditEvent], tenant: Tenant, tamper: Tamper) -> None:
    seq = chain[3].seq
    tamper(f"UPDATE audit_auditevent SET {change} WHERE workspace_id = %s AND seq = %s", tenant.workspace.pk, seq)
    found = faults(tenant.workspace.pk)
    assert ("altered", seq) in found
    assert {at for _, at in found} <= {seq, (seq or 0) + 1}  # with another hash the next does not follow it


def test_it_names_a_record_that_was_altered_and_given_a_new_hash(
    chain: list[AuditEvent], tenant: Tenant, tamper: Tamper
) -> None:
    event = chain[3]
    event.action = "thread.read"
    forged = chains.hash_of(event, seq=event.seq or 0, previous=bytes(event.previous or b""))
    tamper(
        "UPDATE audit_auditevent SET action = 'thread.read', hash = %s WHERE workspace_id = %s AND seq = %s",
        forged, event.workspace_id, event.seq,
    )  # fmt: skip
    assert faults(tenant.workspace.pk) == [("replaced", (event.seq or 0) + 1)]


def test_it_names_removed_records(chain: list[AuditEvent], tenant: Tenant, tamper: Tamper) -> None:
    first, last = chain[3].seq or 0, chain[5].seq
    tamper("DELETE FROM audit_auditevent WHERE workspace_id = %s AND seq BETWEEN %s AND %s",
           tenant.workspace.pk, first, last)  # fmt: skip
    assert faults(tenant.workspace.pk) == [("removed", first)]
    code, said = verified()
    assert code == 4
    assert f"Missing: the record at {first} to {last}, before {chain[6].wire_id}." in said


def test_it_names_records_that_changed_places(chain: list[AuditEvent], tenant: Tenant, tamper: Tamper) -> None:
    here, there = chain[2].seq or 0, chain[6].seq or 0
    swap = "UPDATE audit_auditevent SET seq = %s WHERE workspace_id = %s AND seq = %s"
    tamper(swap, -1, tenant.workspace.pk, here)
    tamper(swap, here, tenant.workspace.pk, there)
    tamper(swap, there, tenant.workspace.pk, -1)
    found = faults(tenant.workspace.pk)
    assert ("reordered", here) in found
    assert ("reordered", there) in found
    assert f"was at {there} when it was written" in verified()[1]


def test_it_sees_that_the_end_is_cut_off(chain: list[AuditEvent], tenant: Tenant, tamper: Tamper) -> None:
    cut = chain[7].seq or 0
    tamper("DELETE FROM audit_auditevent WHERE workspace_id = %s AND seq >= %s", tenant.workspace.pk, cut)
    assert faults(tenant.workspace.pk) == [("truncated", cut)]


def test_it_sees_that_the_whole_chain_or_its_end_row_is_gone(
    chain: list[AuditEvent], tenant: Tenant, tamper: Tamper
) -> None:
    tamper("DELETE FROM audit_auditevent WHERE workspace_id = %s", tenant.workspace.pk)
    assert faults(tenant.workspace.pk) == [("truncated", 1)]
    assert verified()[0] == 4


def test_it_sees_that_the_end_row_is_gone(chain: list[AuditEvent], tenant: Tenant, tamper: Tamper) -> None:
    tamper("DELETE FROM audit_audithead WHERE workspace_id = %s", tenant.workspace.pk)
    assert faults(tenant.workspace.pk) == [("no_head", chain[-1].seq)]


def test_an_end_kept_elsewhere_shows_what_a_superuser_made_whole_again(
    chain: list[AuditEvent], tenant: Tenant, tamper: Tamper, tmp_path: Path
) -> None:
    """Somebody cuts the end off and moves the database's own note of it back: only a note outside can tell."""
    code, heads = verified("--head")
    assert code == 0
    kept = tmp_path / "heads.jsonl"
    kept.write_text(heads)
    audit.record(actor=tenant.actor, action="thread.delete", ids=[])
    assert verified("--against", str(kept))[0] == 0  # more events are no fault

    cut = chain[7]
    tamper("DELETE FROM audit_auditevent WHERE workspace_id = %s AND seq >= %s", tenant.workspace.pk, cut.seq)
    tamper(
        "UPDATE audit_audithead SET seq = %s, hash = %s WHERE workspace_id = %s",
        (cut.seq or 0) - 1, bytes(cut.previous or b""), tenant.workspace.pk,
    )  # fmt: skip
    assert verified()[0] == 0
    code, said = verified("--against", str(kept))
    assert code == 4
    assert "truncated" in said


def test_ends_can_be_kept_beside_a_chain_that_does_not_hold(
    chain: list[AuditEvent], tenant: Tenant, tamper: Tamper, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its faults are told apart, so that what is kept can be read again."""
    tamper("UPDATE audit_auditevent SET actor = 'user:x' WHERE id = %s", chain[4].pk)
    kept = tmp_path / "heads.jsonl"
    code, heads = verified("--head")
    kept.write_text(heads)
    assert code == 4
    assert "altered" in capsys.readouterr().err
    assert tenant.workspace.wire_id not in heads
    assert verified("--against", str(kept))[0] == 4


def test_a_chain_written_anew_up_to_the_noted_end_is_seen(chain: list[AuditEvent], tenant: Tenant) -> None:
    noted = Head(chain[5].seq or 0, bytes(32))
    assert faults(tenant.workspace.pk, noted) == [("behind_head", chain[5].seq)]


def test_it_reads_one_workspace_where_asked(chain: list[AuditEvent], tenant: Tenant, other_tenant: Tenant) -> None:
    linking.link_all()
    code, said = verified("--workspace", tenant.workspace.wire_id, "--json")
    assert code == 0
    (row,) = [json.loads(line) for line in said.splitlines()]
    assert row == {
        "workspace": tenant.workspace.wire_id,
        "seq": chain[-1].seq,
        "hash": bytes(AuditHead.objects.get(workspace_id=tenant.workspace.pk).hash).hex(),
        "events": chain[-1].seq,
        "masked": 0,
        "late": 0,
        "faults": 0,
        "found": [],
    }


@pytest.mark.parametrize("options", [["--workspace", "acme"], ["--against", "/nowhere"]])
def test_wrong_usage_is_said(options: list[str], db: None) -> None:
    with pytest.raises(CommandError) as refused:
        verified(*options)
    if "--against" in options:
        assert refused.value.returncode == 2


def test_faults_are_listed_as_json(chain: list[AuditEvent], tenant: Tenant, tamper: Tamper) -> None:
    tamper("UPDATE audit_auditevent SET actor = 'x' WHERE id = %s", chain[0].pk)
    code, said = verified("--json", "--workspace", tenant.workspace.wire_id)
    row: dict[str, Any] = json.loads(said)
    assert code == 4
    assert row["faults"] == 1
    assert row["found"][0] | {"detail": ""} == {
        "kind": "altered", "seq": chain[0].seq, "id": chain[0].wire_id, "detail": "",
    }  # fmt: skip


def test_events_that_nobody_linked_in_time_are_told(tenant: Tenant, tamper: Tamper) -> None:
    """While they stood in no chain, nobody would have seen them altered: somebody should look at the worker."""
    linking.link_all()
    audit.record(actor=tenant.actor, action="thread.delete", ids=["thread_x"])
    assert "waited" not in verified()[1]
    audit.record(actor=tenant.actor, action="thread.delete", ids=["thread_y"])
    tamper("UPDATE audit_auditevent SET created_at = created_at - interval '2 minutes' WHERE seq IS NULL")
    code, said = verified("--workspace", tenant.workspace.wire_id)
    assert (code, "1 events had waited for more than a minute" in said) == (0, True)
    assert "waited" not in verified()[1]  # they are linked now


WRITERS, WRITES = 3, 40


@pytest.mark.django_db(transaction=True)
def test_it_finds_no_fault_while_others_write_and_link(tenant: Tenant) -> None:
    actor, over = tenant.actor, threading.Event()

    def write(number: int) -> None:
        for each in range(WRITES):
            with transaction.atomic():
                audit.record(actor=actor, action="thread.update", ids=[f"thread_{number}"], details={"n": each})
                over.wait(0.003 * number)  # some commit late, after events that are younger
        connection.close()

    def link() -> int:
        linked = 0
        while not over.wait(0.01):
            linked += linking.link_all()
        connection.close()
        return linked

    with ThreadPoolExecutor(WRITERS + 1) as pool:
        linker = pool.submit(link)
        writers = [pool.submit(write, number) for number in range(WRITERS)]
        try:
            found = [faults(tenant.workspace.pk)]
            while not all(writer.done() for writer in writers):
                found.append(faults(tenant.workspace.pk))
        finally:
            over.set()
        for writer in writers:
            writer.result(30)
        linker.result(30)
    assert found == [[]] * len(found)
    assert faults(tenant.workspace.pk) == []
    linked = AuditEvent.objects.filter(workspace_id=tenant.workspace.pk, action="thread.update", seq__isnull=False)
    assert linked.count() == WRITERS * WRITES
