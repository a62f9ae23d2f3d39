"""How many threads a workspace's sweeps take in one night."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from tests.conftest import Tenant
from tests.lifecycle.conftest import old_thread, policy
from threads.lifecycle import apply, candidates
from threads.lifecycle.batches import Bounds
from threads.lifecycle.candidates import Selection
from threads.models import RetentionSettings


class TestCap:
    def test_a_night_that_comes_a_second_early_has_its_whole_cap(self, tenant: Tenant) -> None:
        RetentionSettings.objects.create(workspace=tenant.workspace, daily_cap=3, brake_percent=100)
        for _ in range(6):
            old_thread(tenant)
        policy(tenant)
        assert self.at(tenant, datetime(2040, 5, 1, 3, 0, 2, tzinfo=UTC)).taken == 3
        assert self.at(tenant, datetime(2040, 5, 2, 3, 0, 1, tzinfo=UTC)).taken == 3

    def test_two_sweeps_of_one_night_share_it(self, tenant: Tenant) -> None:
        RetentionSettings.objects.create(
            workspace=tenant.workspace, daily_cap=3, brake_percent=100, time_zone="Asia/Tokyo"
        )
        for _ in range(6):
            old_thread(tenant)
        policy(tenant)
        tokyo = ZoneInfo("Asia/Tokyo")
        assert self.at(tenant, datetime(2040, 5, 1, 3, tzinfo=tokyo), limit=2).taken == 2
        later = self.at(tenant, datetime(2040, 5, 2, 2, 59, tzinfo=tokyo))
        assert (later.taken, later.ended) == (1, "cap")

    def test_what_a_sweep_took_that_died_counts(self, tenant: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
        RetentionSettings.objects.create(workspace=tenant.workspace, daily_cap=3, brake_percent=100)
        for _ in range(6):
            old_thread(tenant)
        policy(tenant)
        cutoff = candidates.database_now()

        def dies(taken: int) -> None:
            if taken == 2:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            self.at(tenant, cutoff, progress=dies, batch_size=1)
        assert self.at(tenant, cutoff).taken == 1

    def test_a_sweep_as_of_the_day_before_counts_to_this_one(self, tenant: Tenant) -> None:
        """Which somebody confirmed before three, and the worker does after the nightly one."""
        RetentionSettings.objects.create(workspace=tenant.workspace, daily_cap=3, brake_percent=100)
        for _ in range(8):
            old_thread(tenant)
        policy(tenant)
        before, after = datetime(2040, 5, 1, 2, 50, tzinfo=UTC), datetime(2040, 5, 1, 3, 10, tzinfo=UTC)
        assert [self.at(tenant, moment).taken for moment in (after, before, after)] == [3, 0, 0]

    def test_it_counts_by_utc_where_nobody_knows_the_zone(self, tenant: Tenant) -> None:
        RetentionSettings.objects.create(workspace=tenant.workspace, daily_cap=3, time_zone="Mars/Olympus")
        old_thread(tenant)
        policy(tenant)
        assert self.at(tenant, candidates.database_now()).taken == 1

    @staticmethod
    def at(
        tenant: Tenant, moment: datetime, progress: Callable[[int], Any] = lambda taken: None, **bounds: Any
    ) -> apply.Outcome:
        return apply.apply(
            selection=Selection(workspace_id=tenant.workspace.pk),
            cutoff=moment.astimezone(UTC),
            bounds=Bounds(**{"pause": 0, **bounds}),
            progress=progress,
        )
