"""Sessions whose time the tests hold in their hands."""

from datetime import UTC, datetime, timedelta

import pytest

from chat_sessions import sessions
from chat_sessions.sessions import Opened
from tests.conftest import Tenant

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)


@pytest.fixture
def opened(tenant: Tenant) -> Opened:
    """A session that a server opened at noon."""
    return sessions.open(actor=tenant.actor, agent_id=tenant.agent.pk, external_ref="visitor", now=NOON)
