"""What a policy may take at first: as many threads as its preview had, in however many sweeps."""

from datetime import timedelta

from django.utils import timezone

from tests.conftest import Tenant
from tests.lifecycle.conftest import old_thread, policy, sweep
from threads.lifecycle import nightly, system_policies
from threads.models import RetentionSettings, Thread

DAY = timedelta(days=1)


class TestFirstActs:
    """A policy may take as many threads as its preview had, in however many sweeps."""

    def test_a_first_act_of_several_nights_ends(self, tenant: Tenant) -> None:
        for number in range(40):
            old_thread(tenant, 100 if number < 30 else 1, messages=1)
        policy(tenant)
        RetentionSettings.objects.create(workspace=tenant.workspace, daily_cap=12)
        ends = [sweep(tenant, after=DAY * night) for night in range(3)]
        assert [(done.taken, done.ended) for done in ends] == [(12, "cap"), (12, "cap"), (6, "done")]

    def test_what_nobody_previewed_is_braked_after_it(self, tenant: Tenant) -> None:
        for _ in range(20):
            old_thread(tenant, messages=1)
        policy(tenant)
        assert sweep(tenant, limit=15).taken == 15
        assert sweep(tenant).taken == 5
        for _ in range(14):
            old_thread(tenant, messages=1)
        assert sweep(tenant).ended == "brake"

    def test_what_came_to_nothing_is_not_owed(self, tenant: Tenant) -> None:
        """Previewed with twenty, of which five were still due: a later surprise is one."""
        for _ in range(20):
            old_thread(tenant, messages=1)
        policy(tenant)
        Thread.objects.filter(pk__in=list(Thread.objects.values_list("pk", flat=True)[:15])).update(
            last_activity_at=timezone.now()
        )
        assert sweep(tenant).taken == 5
        for _ in range(20):
            old_thread(tenant, messages=1)
        assert sweep(tenant).ended == "brake"

    def test_a_system_policy_acts_in_every_workspace(self, tenant: Tenant, other_tenant: Tenant) -> None:
        for each in (tenant, other_tenant):
            for _ in range(20):
                old_thread(each, messages=1)
        made = system_policies.create(actor=tenant.actor, now=timezone.now(), action="purge", days=90)
        system_policies.preview(actor=tenant.actor, policy=made)
        made.refresh_from_db()
        system_policies.enable(actor=tenant.actor, policy=made, now=timezone.now() - 2 * DAY)
        assert nightly.sweep_all() == 40
        assert Thread.objects.count() == 0
