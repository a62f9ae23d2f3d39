"""What a sweep reads of a thread."""

from decimal import Decimal

import pytest

from tests.conftest import Api, Tenant
from threadhub.lib import ids
from threads.lifecycle import candidates


@pytest.mark.django_db
@pytest.mark.parametrize("number", [1e300, -1.5e300, 2**63 - 1, 1e-7])
def test_whatever_metadata_may_hold_is_read(api: Api, tenant: Tenant, number: float) -> None:
    """PostgreSQL writes 1e300 as an integer of 301 digits, which no client may send."""
    made = api.post(f"/agents/{tenant.agent.wire_id}/threads", {"metadata": {"n": number}})
    assert made.status_code == 200, made.content
    thread_id = ids.decode("thread", made.json()["id"])
    (found,) = candidates.load(workspace_id=tenant.workspace.pk, thread_ids=[thread_id])
    assert Decimal(str(found.facts.metadata["n"])) == Decimal(str(number))
