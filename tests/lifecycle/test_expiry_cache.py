"""What is in force of a workspace is parsed once for each state of it, and never taken for another."""

from typing import Any

import orjson
import pytest

from tests.conftest import Api, Tenant
from tests.lifecycle.conftest import old_thread, policy
from threads.lifecycle import expiry
from threads.models import Hold


@pytest.fixture
def parsed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The texts that were parsed, in their order."""
    texts: list[str] = []

    def noted(text: Any) -> Any:
        texts.append(text)
        return loads(text)

    loads = orjson.loads
    expiry._remembered.cache_clear()
    monkeypatch.setattr(expiry.orjson, "loads", noted)
    return texts


def told(api: Api, thread: Any) -> tuple[Any, Any]:
    shown = api.get(f"/threads/{thread.wire_id}").json()
    return shown["held"], shown["policy"] and shown["policy"]["days"]


def test_the_same_state_is_parsed_once_and_a_change_is_told_at_once(
    tenant: Tenant, api: Api, parsed: list[str]
) -> None:
    policy(tenant, days=90)
    thread = old_thread(tenant, 1)
    assert [told(api, thread) for _ in range(3)] == [(False, 90)] * 3
    assert len(parsed) == 1
    hold = Hold.objects.create(workspace=tenant.workspace, scope="workspace", reason="asked", placed_by="somebody")
    assert told(api, thread) == (True, None)
    Hold.objects.filter(pk=hold.pk).update(released_at=hold.created_at)
    assert told(api, thread) == (False, 90)
    assert len(parsed) == 2


def test_what_is_large_is_not_kept(
    tenant: Tenant, api: Api, parsed: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(expiry, "SMALL", 10)
    policy(tenant, days=90)
    thread = old_thread(tenant, 1)
    assert [told(api, thread) for _ in range(2)] == [(False, 90)] * 2
    assert len(parsed) == 2
