"""When a thread was last active: by the database's clock, and moved by messages alone. Retention counts from it."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from tests.conftest import Tenant
from threads.actions import desk
from threads.actions import messages as appending
from threads.actions import threads as actions
from threads.actions.messages import Draft
from threads.models import Thread


@pytest.fixture
def spoken(tenant: Tenant) -> Thread:
    """A thread in which somebody said something a while ago."""
    thread = actions.create(actor=tenant.actor, agent_id=tenant.agent.pk, now=timezone.now())
    appending.append(actor=tenant.actor, thread=thread, drafts=[Draft(role="user", content="x")])
    Thread.objects.filter(pk=thread.pk).update(last_activity_at=timezone.now() - timedelta(days=3))
    thread.refresh_from_db()
    return thread


def test_a_process_whose_clock_is_wrong_moves_it_to_the_time_of_the_database(
    spoken: Thread, tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    later = timezone.now() + timedelta(days=2)
    monkeypatch.setattr(timezone, "now", lambda: later)
    appending.append(actor=tenant.actor, thread=spoken, drafts=[Draft(role="user", content="y")])
    spoken.refresh_from_db()
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        (now,) = cursor.fetchone()
    assert spoken.last_activity_at is not None
    assert now - timedelta(hours=1) < spoken.last_activity_at <= now


@pytest.mark.parametrize("what", ["assign", "label", "note"])
def test_what_staff_do_at_their_desk_leaves_it(what: str, spoken: Thread, tenant: Tenant) -> None:
    now = timezone.now()
    deeds: dict[str, Any] = {
        "assign": lambda: desk.assign(actor=tenant.actor, thread=spoken, user_id=tenant.owner.pk),
        "label": lambda: desk.label(actor=tenant.actor, thread=spoken, labels=["urgent"]),
        "note": lambda: desk.note(actor=tenant.actor, thread=spoken, text="Mind the gap", now=now),
    }
    before = spoken.last_activity_at
    deeds[what]()
    assert Thread.objects.get(pk=spoken.pk).last_activity_at == before
