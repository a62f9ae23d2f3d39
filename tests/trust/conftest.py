"""What the tests of trust share."""

import pytest
from django.http import HttpResponse

from threadhub.api import streaming
from threadhub.api.streaming import AfterRun


@pytest.fixture
def nobody_waits_for_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that was asked for is answered as it stands: what it comes to is no matter here, and there is no worker."""

    async def settle(self: AfterRun) -> HttpResponse:
        return HttpResponse(b'{"run": "queued"}', content_type="application/json")

    monkeypatch.setattr(AfterRun, "settle", settle)
    monkeypatch.setattr(streaming, "close_old_connections", lambda: None)  # the test's own connection is not closed
