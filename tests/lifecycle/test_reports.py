"""Reports of sweeps are a chain: none can be taken out or changed unnoticed."""

from tests.conftest import Tenant
from tests.lifecycle.conftest import old_thread, policy, sweep
from threads.lifecycle import reports
from threads.models import Sweep


def test_reports_are_chained(tenant: Tenant) -> None:
    policy(tenant)
    for _ in range(3):
        old_thread(tenant)
        sweep(tenant, brake=False)
    assert reports.broken(workspace_id=tenant.workspace.pk) == []
    Sweep.objects.filter(number=2).update(report={"taken": 0})
    assert reports.broken(workspace_id=tenant.workspace.pk) == [2]
    Sweep.objects.filter(number=1).delete()
    assert reports.broken(workspace_id=tenant.workspace.pk) == [2]


def test_the_newest_report_cannot_be_removed_unnoticed(tenant: Tenant) -> None:
    policy(tenant)
    for _ in range(3):
        sweep(tenant)
    Sweep.objects.filter(number=3).delete()
    assert reports.broken(workspace_id=tenant.workspace.pk) == [3]
    Sweep.objects.all().delete()
    assert reports.broken(workspace_id=tenant.workspace.pk) == [3]


def test_nor_another_put_in_its_place(tenant: Tenant) -> None:
    policy(tenant)
    for _ in range(2):
        sweep(tenant)
    newest = Sweep.objects.get(number=2)
    newest.report = {"taken": 0}
    newest.digest = reports.digest(
        number=2, kind=newest.kind, cutoff=newest.cutoff, report=newest.report, previous=newest.previous
    )
    newest.save()
    assert reports.broken(workspace_id=tenant.workspace.pk) == [2]
