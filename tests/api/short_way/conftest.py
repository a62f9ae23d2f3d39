"""A client of the handler of a web process, and a thread to ask for."""

from collections.abc import Iterator

import pytest
from django.utils import timezone

from tests.api.short_way.asking import Asking
from tests.conftest import Tenant
from threadhub.lib import remembered
from threadhub.limits import rates
from threadhub.workspaces import known_keys
from threads.actions import messages, threads
from threads.actions.messages import Draft
from threads.models import Thread


@pytest.fixture
def asking(tenant: Tenant, monkeypatch: pytest.MonkeyPatch) -> Iterator[Asking]:
    """In a process that hears of changed keys."""
    known_keys.forget()
    remembered.forget()
    rates.forget()
    monkeypatch.setattr(known_keys, "_heard_until", float("inf"))
    monkeypatch.setattr(known_keys, "KNOWN_SECONDS", float("inf"))  # however slow the machine is
    monkeypatch.setattr(rates, "LEASE_SECONDS", 3600.0)
    yield Asking(tenant, monkeypatch)
    known_keys.forget()
    remembered.forget()
    rates.forget()


@pytest.fixture
def thread(tenant: Tenant) -> Thread:
    made = threads.create(
        actor=tenant.actor, agent_id=tenant.agent.id, now=timezone.now(), title="A title", metadata={"plan": "gold"}
    )
    for number in range(3):
        messages.append(actor=tenant.actor, thread=made, drafts=[Draft(role="user", content=f"number {number}")])
    for number in range(3):
        threads.create(actor=tenant.actor, agent_id=tenant.agent.id, now=timezone.now(), title=f"Another {number}")
    return Thread.objects.get(pk=made.pk)
