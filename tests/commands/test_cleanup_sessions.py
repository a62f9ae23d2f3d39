"""`manage.py cleanup_sessions`, and the worker's job that does the same."""

import asyncio
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from io import StringIO
from typing import Any

import psycopg
import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.utils import timezone

from chat_sessions import cleanup, sessions
from chat_sessions.models import ChatSession
from chat_sessions.tasks import cleanup as job
from tests.conftest import Tenant
from threadhub.lib import ids
from threadhub.worker import direct_parameters
from threads.actions.chat_sessions import open_with_thread
from threads.models import Thread

DAY = timedelta(days=1)


def make(tenant: Tenant, ref: str, **changed: Any) -> ChatSession:
    session = sessions.open(actor=tenant.actor, agent_id=tenant.agent.pk, external_ref=ref, now=timezone.now()).session
    ChatSession.objects.filter(pk=session.pk).update(**changed)
    return session


@pytest.fixture
def five(tenant: Tenant) -> dict[str, ChatSession]:
    """One of each kind."""
    now = timezone.now()
    return {
        "open": make(tenant, "open"),
        "expired": make(tenant, "expired", expires_at=now - DAY, idle_expires_at=now - DAY),
        "idle": make(tenant, "idle", idle_expires_at=now - DAY),
        "ended": make(tenant, "ended", ended_at=now - 29 * DAY, end_reason="ended"),
        "long ended": make(tenant, "long ended", ended_at=now - 31 * DAY, end_reason="ended"),
    }


def run(*arguments: str) -> dict[str, Any]:
    out = StringIO()
    call_command("cleanup_sessions", "--yes", "--json", *arguments, stdout=out)
    told: dict[str, Any] = json.loads(out.getvalue())
    return told


def rows() -> dict[str, str]:
    return dict(ChatSession.objects.values_list("external_ref", "end_reason"))


def everything() -> list[dict[str, Any]]:
    return list(ChatSession.objects.order_by("pk").values())


def test_it_ends_what_expired_and_removes_what_ended_long_ago(five: dict[str, ChatSession]) -> None:
    assert run() == {"dry_run": False, "ended": 2, "removed": 1, "complete": True}
    assert rows() == {"open": "", "expired": "expired", "idle": "idle", "ended": "ended"}
    assert run() == {"dry_run": False, "ended": 0, "removed": 0, "complete": True}


def test_a_dry_run_says_the_same_and_changes_nothing(five: dict[str, ChatSession]) -> None:
    before = everything()
    assert run("--dry-run") == {"dry_run": True, "ended": 2, "removed": 1, "complete": True}
    assert run("--dry-run", "--limit=2")["complete"] is False
    assert everything() == before


def test_its_threads_stay(tenant: Tenant) -> None:
    opened = open_with_thread(actor=tenant.actor, agent_id=tenant.agent.pk, external_ref="x", now=timezone.now())
    ChatSession.objects.update(ended_at=timezone.now() - 31 * DAY)
    assert run()["removed"] == 1
    thread = Thread.objects.get(pk=opened.thread.pk)
    assert (thread.chat_session_id, thread.external_ref) == (None, "x")


def test_a_workspace_an_age_and_a_limit_narrow_it(
    five: dict[str, ChatSession], other_tenant: Tenant, tenant: Tenant
) -> None:
    make(other_tenant, "foreign", ended_at=timezone.now() - 40 * DAY)
    assert run(f"--workspace={tenant.workspace.wire_id}", "--older-than=4w", "--limit=1")["ended"] == 1
    assert run(f"--workspace={tenant.workspace.wire_id}", "--older-than=4w", "--batch-size=1") == {
        "dry_run": False,
        "ended": 1,
        "removed": 2,
        "complete": True,
    }
    assert "foreign" in rows()


def test_an_agent_a_user_a_reference_and_idleness_narrow_it(five: dict[str, ChatSession], tenant: Tenant) -> None:
    assert run("--external-ref=idle", "--dry-run")["ended"] == 1
    assert run(f"--agent={tenant.agent.wire_id}", "--dry-run")["ended"] == 2
    assert run(f"--agent={ids.encode('agent', ids.new())}", "--dry-run")["ended"] == 0
    assert run(f"--user={tenant.owner.wire_id}", "--dry-run")["ended"] == 0
    ChatSession.objects.filter(pk=five["idle"].pk).update(user=tenant.owner)
    assert run(f"--user={tenant.owner.wire_id}", "--dry-run")["ended"] == 1
    assert run("--inactive-for=23h", "--dry-run")["ended"] == 2
    assert run("--inactive-for=25h", "--dry-run") == {"dry_run": True, "ended": 0, "removed": 1, "complete": True}
    assert run("--inactive-for=32d", "--dry-run")["removed"] == 0
    assert run("--external-ref=idle") == {"dry_run": False, "ended": 1, "removed": 0, "complete": True}
    assert rows()["expired"] == ""


def test_its_cutoff_is_one_and_the_databases(five: dict[str, ChatSession], monkeypatch: pytest.MonkeyPatch) -> None:
    """This machine's clock goes years ahead."""
    monkeypatch.setattr(timezone, "now", lambda: datetime(2999, 1, 1, tzinfo=UTC))
    assert run() == {"dry_run": False, "ended": 2, "removed": 1, "complete": True}


@pytest.mark.parametrize(
    "arguments",
    [
        ["--older-than=9999999d"],
        ["--inactive-for=9999999d"],
        ["--agent=x"],
        ["--older-than=0d"],
        ["--older-than=90"],
        ["--older-than="],
        ["--older-than=-1d"],
        ["--older-than=1y"],
        ["--limit=0"],
        ["--batch-size=-1"],
        ["--max-seconds=x"],
        ["--workspace=workspace_1"],
        ["--workspace=workspace_01h455vb4pex5vsknk084sn02q"],
    ],
)
def test_wrong_usage_does_nothing(five: dict[str, ChatSession], arguments: list[str]) -> None:
    before = everything()
    with pytest.raises(CommandError) as raised:
        run(*arguments)
    assert raised.value.returncode in (1, 2)
    assert everything() == before


def test_a_script_must_say_yes(five: dict[str, ChatSession], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", StringIO(""))
    before = everything()
    with pytest.raises(CommandError, match="--yes") as raised:
        call_command("cleanup_sessions")
    assert raised.value.returncode == 2
    assert everything() == before


@pytest.fixture
def second(transactional_db: None) -> Iterator["psycopg.Connection[Any]"]:
    """A connection beside the test's."""
    name = connection.settings_dict["NAME"]
    with psycopg.connect(**{**direct_parameters(), "dbname": name}, autocommit=True) as other:
        yield other


def test_a_second_sweeper_leaves_with_its_own_code(
    second: "psycopg.Connection[Any]", five: dict[str, ChatSession]
) -> None:
    second.execute("SELECT pg_advisory_lock(%s)", [cleanup.LOCK])
    with pytest.raises(CommandError) as raised:
        run()
    assert raised.value.returncode == 3
    assert "long ended" in rows()
    asyncio.run(job.func(timestamp=0))  # the worker's leaves it to the other without a word
    assert "long ended" in rows()
    second.execute("SELECT pg_advisory_unlock(%s)", [cleanup.LOCK])
    assert run()["removed"] == 1


def test_what_somebody_holds_is_left_for_the_next_sweep(
    second: "psycopg.Connection[Any]", five: dict[str, ChatSession]
) -> None:
    with second.transaction():
        held = five["idle"].pk
        second.execute("SELECT 1 FROM chat_sessions_chatsession WHERE id = %s FOR UPDATE", [held])
        assert run()["ended"] == 1
        assert rows()["idle"] == ""
    assert run()["ended"] == 1


@pytest.mark.django_db(transaction=True)
def test_the_worker_does_it_by_itself(five: dict[str, ChatSession]) -> None:
    asyncio.run(job.func(timestamp=0))
    assert rows() == {"open": "", "expired": "expired", "idle": "idle", "ended": "ended"}
