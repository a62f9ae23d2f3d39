"""What is damaged is noticed and refused."""

import hashlib
import json

import pytest
import zstandard
from django.utils import timezone

from tests.conftest import Api, Tenant
from tests.lifecycle.bundled import files, full_thread
from tests.lifecycle.conftest import old_thread
from threads.lifecycle import acts, restore
from threads.lifecycle.bundles import audit_trail, reader, verify
from threads.lifecycle.bundles.verify import Damaged
from threads.models import Bundle, Message, Thread

NOW = timezone.now
LOADS = json.loads


@pytest.fixture
def archived(tenant: Tenant) -> Thread:
    return acts.archive(actor=tenant.actor, thread=full_thread(tenant), now=NOW())


def refused(tenant: Tenant, thread: Thread) -> None:
    with pytest.raises(Damaged):
        restore.restore(actor=tenant.actor, thread=thread, now=NOW())
    assert Message.objects.count() == 0
    thread.refresh_from_db()
    assert thread.state == "archived"
    assert audit_trail.verify(workspace_id=thread.workspace_id).faults


def test_one_flipped_bit_anywhere_is_found(tenant: Tenant, archived: Thread, archive_directory: str) -> None:
    _, data = files(archive_directory)
    good = data.read_bytes()
    for at in range(0, len(good), max(1, len(good) // 40)):
        data.write_bytes(good[:at] + bytes([good[at] ^ 1]) + good[at + 1 :])
        assert audit_trail.verify(workspace_id=archived.workspace_id).faults, at
    middle = len(good) // 2
    data.write_bytes(good[:middle] + bytes([good[middle] ^ 1]) + good[middle + 1 :])
    refused(tenant, archived)
    data.write_bytes(good)
    assert audit_trail.verify(workspace_id=archived.workspace_id).faults == []
    restore.restore(actor=tenant.actor, thread=archived, now=NOW())


def test_a_frame_that_says_it_holds_too_much_is_not_unpacked(
    tenant: Tenant, archived: Thread, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reader, "FRAME_LIMIT", 100)
    with pytest.raises(Damaged, match="holds more"):
        restore.restore(actor=tenant.actor, thread=archived, now=NOW())
    assert Message.objects.count() == 0


def test_a_bundle_of_another_workspace_is_refused(tenant: Tenant, other_tenant: Tenant, archived: Thread) -> None:
    path = Bundle.objects.get().path
    verify.whole(path=path, workspace=tenant.workspace.wire_id)
    with pytest.raises(Damaged, match="of another workspace"):
        verify.whole(path=path, workspace=other_tenant.workspace.wire_id)


@pytest.mark.parametrize("harm", ["missing", "truncated", "longer", "empty"])
def test_a_broken_file_is_refused(
    tenant: Tenant, archived: Thread, archive_directory: str, harm: str, api: Api
) -> None:
    _, data = files(archive_directory)
    good = data.read_bytes()
    match harm:
        case "missing":
            data.unlink()
        case "truncated":
            data.write_bytes(good[:-20])
        case "longer":
            data.write_bytes(good + zstandard.compress(b'{"type":"message"}\n'))
            assert audit_trail.verify(workspace_id=archived.workspace_id).faults
            return
        case "empty":
            data.write_bytes(b"")
    refused(tenant, archived)
    response = api.get(f"/threads/{archived.wire_id}")
    assert (response.status_code, response.json()["code"]) == (502, "bundle_damaged")


def test_an_altered_manifest_is_found(tenant: Tenant, archived: Thread, archive_directory: str) -> None:
    manifest, _ = files(archive_directory)
    good = manifest.read_text()
    for old, new in (("threadhub-archive/1", "threadhub-archive/2"), ('"message": 5', '"message": 4'), ("{", "")):
        manifest.write_text(good.replace(old, new, 1))
        assert audit_trail.verify(workspace_id=archived.workspace_id).faults, old


def test_records_of_a_later_layout_are_refused(
    tenant: Tenant, archived: Thread, monkeypatch: pytest.MonkeyPatch
) -> None:
    for said in (0, 2, "1", None, True):
        with monkeypatch.context() as patch:
            patch.setattr(json, "loads", lambda text, said=said: {**LOADS(text), "versions": {"records": said}})
            with pytest.raises(Damaged, match="layout"):
                verify.whole(path=Bundle.objects.get().path, workspace=tenant.workspace.wire_id)


def test_a_manifest_from_before_there_were_versions_in_it_holds(
    tenant: Tenant, archived: Thread, archive_directory: str
) -> None:
    path, _ = files(archive_directory)
    old = {name: value for name, value in json.loads(path.read_text()).items() if name != "versions"}
    path.write_bytes(json.dumps(old, sort_keys=True, indent=1).encode() + b"\n")
    bundle = Bundle.objects.get()
    bundle.manifest_sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    bundle.save()
    assert audit_trail.verify(workspace_id=archived.workspace_id).faults == []
    restore.restore(actor=tenant.actor, thread=archived, now=NOW())


def test_a_bundle_that_is_missing_from_the_chain_is_noticed(tenant: Tenant, archived: Thread) -> None:
    acts.archive(actor=tenant.actor, thread=old_thread(tenant), now=NOW())
    assert audit_trail.verify(workspace_id=archived.workspace_id).faults == []
    Bundle.objects.filter(number=2).update(previous="0" * 64)
    assert audit_trail.verify(workspace_id=archived.workspace_id).faults
