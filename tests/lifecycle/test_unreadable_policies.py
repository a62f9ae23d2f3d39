"""A policy that this release cannot read, as a newer one or somebody by hand wrote it, does nothing, and it is said."""

import json
import logging
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection
from django.utils import timezone

from tests.conftest import Api, Tenant
from tests.lifecycle.conftest import old_thread, policy, sweep
from tests.lifecycle.test_commands import run
from threadhub.isolation import scope
from threads.lifecycle import candidates, kept_plan, nightly, plan, system_policies
from threads.lifecycle.candidates import Selection
from threads.models import RetentionPolicy, Sweep, SystemPolicy, Thread

WRONG = [{"action": "freeze"}, {"days": 0}, {"counted_from": "full_moon"}]


def of_system(tenant: Tenant, **wrong: Any) -> SystemPolicy:
    made = system_policies.create(actor=tenant.actor, now=timezone.now(), action="purge", days=30)
    SystemPolicy.objects.filter(pk=made.pk).update(**{"enabled": True, "acts_from": timezone.now(), **wrong})
    return SystemPolicy.objects.get(pk=made.pk)


def of_workspace(tenant: Tenant, **wrong: Any) -> RetentionPolicy:
    """A newer release knows more than the constraints of today."""
    made = policy(tenant)
    with scope.as_owner(), connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")  # what still waits for its check is not altered
        for name in ("action_known", "counted_from_known", "days_positive"):
            cursor.execute(f"ALTER TABLE threads_retentionpolicy DROP CONSTRAINT policy_{name}")
    RetentionPolicy.objects.filter(pk=made.pk).update(**wrong)
    return made


def planned(tenant: Tenant) -> plan.Plan:
    return plan.make(selection=Selection(workspace_id=tenant.workspace.pk), cutoff=candidates.database_now())


@pytest.mark.parametrize("write", [of_system, of_workspace])
@pytest.mark.parametrize("wrong", WRONG)
def test_plans_and_sweeps_name_it(tenant: Tenant, write: Any, wrong: dict[str, Any]) -> None:
    old_thread(tenant)
    assert run("retention_plan")[0]["unreadable"] == []
    made = write(tenant, **wrong)
    assert run("retention_plan")[0]["unreadable"] == [made.wire_id]
    assert run("retention_apply", "--dry-run")[0]["unreadable"] == [made.wire_id]
    done = run("retention_apply", "--yes")[0]
    assert (done["taken"], done["ended"], done["unreadable"]) == (0, "done", [made.wire_id])
    assert Sweep.objects.get().report["unreadable"] == [made.wire_id]
    assert Thread.objects.get().state == "active"


def test_people_read_it_too(tenant: Tenant) -> None:
    made, out = of_system(tenant, days=0), StringIO()
    call_command("retention_apply", "--yes", stdout=out, stderr=StringIO())
    assert f"unreadable  {made.wire_id}\n" in out.getvalue()


def test_others_act_where_it_is_not_about_a_thread(tenant: Tenant) -> None:
    old_thread(tenant, external_ref="old/1")
    new = old_thread(tenant, external_ref="new/1")
    policy(tenant)
    made = of_system(tenant, action="freeze", external_ref_prefix="new/")
    done = sweep(tenant)
    assert (done.taken, dict(done.skips), done.as_json()["unreadable"]) == (1, {"unreadable": 1}, [made.wire_id])
    assert Thread.objects.get() == new


def test_a_braked_sweep_says_it_as_well(tenant: Tenant) -> None:
    policy(tenant)
    for _ in range(11):
        old_thread(tenant, messages=0)
    made = of_system(tenant, action="freeze", external_ref_prefix="new/")
    assert sweep(tenant).ended == "brake"
    assert Sweep.objects.get().report["unreadable"] == [made.wire_id]


def test_the_night_logs_it(tenant: Tenant, caplog: pytest.LogCaptureFixture) -> None:
    old_thread(tenant)
    made = of_system(tenant, action="freeze")
    with caplog.at_level(logging.WARNING, logger=nightly.__name__):
        nightly.sweep_all()
    assert [record.getMessage() for record in caplog.records] == [
        f"the sweep of workspace {tenant.workspace.pk}: {made.wire_id} cannot be read, and does nothing"
    ]


def test_a_preview_tells_clients(api: Api, tenant: Tenant) -> None:
    made = of_system(tenant, action="freeze")
    own = api.post("/retention_policies", {"action": "purge", "days": 90}).json()
    assert api.post(f"/retention_policies/{own['id']}/preview").json()["unreadable"] == [made.wire_id]


def test_a_plan_that_was_kept_knows_it(tenant: Tenant) -> None:
    made = of_system(tenant, action="freeze")
    whole = planned(tenant)
    kept = json.loads(json.dumps(kept_plan.keep(whole)))
    place = {"workspace_id": tenant.workspace.pk, "cutoff": whole.cutoff}
    assert kept_plan.recall(**place, kept=kept).as_json() == whole.as_json()
    del kept["unreadable"]  # what an older version counted, some minutes ago
    assert kept_plan.recall(**place, kept=kept).unreadable == []
    effect = system_policies.count(policy=made, cutoff=whole.cutoff)
    kept = json.loads(json.dumps(kept_plan.keep_effect(effect)))
    assert kept_plan.recall_effect(kept).unreadable == [made.pk]
    del kept["unreadable"]
    assert kept_plan.recall_effect(kept).unreadable == []


def test_a_preview_in_all_workspaces_names_it_once(tenant: Tenant, other_tenant: Tenant) -> None:
    made = of_system(tenant, action="freeze")
    effect = system_policies.count(policy=made, cutoff=candidates.database_now())
    assert effect.unreadable == [made.pk]
