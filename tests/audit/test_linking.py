"""Writers do not wait for each other; the chain is made afterwards and is whole all the same."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection, transaction

from tests.audit.conftest import faults
from tests.conftest import Tenant
from threadhub import audit
from threadhub.audit import linking
from threadhub.audit.models import AuditEvent, AuditHead

WRITERS = 12
EACH = 25


def write(tenant: Tenant, name: str) -> None:
    audit.record(actor=audit.By(name, tenant.workspace.pk), action="thread.update", ids=[])


@pytest.mark.django_db(transaction=True)
def test_a_writer_waits_neither_for_another_writer_nor_for_the_linker(tenant: Tenant) -> None:
    """Each holds its transaction open until all have written: if one waited for another, none would get through."""
    together = threading.Barrier(WRITERS + 1)

    def writer(number: int) -> None:
        with transaction.atomic():
            write(tenant, f"user:{number}")
            together.wait(20)
        connection.close()

    def linker() -> None:
        with transaction.atomic():
            linking.link(workspace_id=tenant.workspace.pk)  # takes the chain's lock and keeps it
            together.wait(20)
        connection.close()

    with ThreadPoolExecutor(WRITERS + 1) as threads:
        jobs = [threads.submit(linker), *(threads.submit(writer, number) for number in range(WRITERS))]
        for job in jobs:
            job.result()
    linking.link_all()
    assert AuditEvent.objects.filter(action="thread.update", seq__isnull=False).count() == WRITERS
    assert faults(tenant.workspace.pk) == []


@pytest.mark.django_db(transaction=True)
def test_hundreds_of_writers_and_several_linkers_make_one_whole_chain(tenant: Tenant) -> None:
    done = threading.Event()

    def writer(number: int) -> None:
        for _ in range(EACH):
            with transaction.atomic():
                write(tenant, f"user:{number}")
        connection.close()

    def linker() -> None:
        while not done.is_set():
            linking.link_all()
        connection.close()

    with ThreadPoolExecutor(WRITERS + 3) as threads:
        linkers = [threads.submit(linker) for _ in range(3)]
        writers = [threads.submit(writer, number) for number in range(WRITERS)]
        for job in writers:
            job.result()
        done.set()
        for job in linkers:
            job.result()
    linking.link_all()
    assert AuditEvent.objects.filter(action="thread.update").count() == WRITERS * EACH
    seqs = AuditEvent.objects.filter(workspace_id=tenant.workspace.pk).order_by("seq").values_list("seq", flat=True)
    assert list(seqs) == list(range(1, len(seqs) + 1))
    assert faults(tenant.workspace.pk) == []


@pytest.mark.django_db(transaction=True)
def test_an_event_that_commits_late_is_linked_late(tenant: Tenant) -> None:
    written, linked = threading.Event(), threading.Event()

    def late() -> None:
        with transaction.atomic():
            write(tenant, "user:late")
            written.set()
            assert linked.wait(20)
        connection.close()

    with ThreadPoolExecutor(1) as threads:
        job = threads.submit(late)
        assert written.wait(20)
        write(tenant, "user:early")
        linking.link_all()
        linked.set()
        job.result()
    linking.link_all()
    rows = AuditEvent.objects.filter(action="thread.update").order_by("seq").values_list("actor", flat=True)
    assert list(rows) == ["user:early", "user:late"]
    by_time = AuditEvent.objects.filter(action="thread.update").order_by("created_at").values_list("actor", flat=True)
    assert list(by_time) == ["user:late", "user:early"]
    assert faults(tenant.workspace.pk) == []


def test_every_workspace_has_a_chain_of_its_own(tenant: Tenant, other_tenant: Tenant) -> None:
    for _ in range(3):
        write(tenant, "user:1")
        write(other_tenant, "user:2")
    audit.record(actor=audit.By("nobody"), action="user.sign_in_failed", ids=[])
    assert linking.link_all() == AuditEvent.objects.count()
    assert linking.link_all() == 0
    for workspace_id in AuditHead.objects.values_list("workspace_id", flat=True):
        rows = AuditEvent.objects.filter(workspace_id=workspace_id).order_by("seq").values_list("seq", flat=True)
        assert list(rows) == list(range(1, len(rows) + 1))
        assert faults(workspace_id) == []
    assert AuditHead.objects.count() == 3


def test_more_than_a_batch_is_linked(tenant: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(linking, "BATCH", 3)
    for _ in range(10):
        write(tenant, "user:1")
    linking.link_all()
    assert not AuditEvent.objects.filter(seq=None).exists()
    assert faults(tenant.workspace.pk) == []
