"""Threads of any age, policies in force, and an archive of its own for each test."""

import shutil
import tempfile
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from tests.conftest import Tenant
from threadhub.isolation import scope
from threads.actions import threads
from threads.actions.messages import Draft, append
from threads.lifecycle import apply, candidates, policies
from threads.lifecycle.batches import Bounds
from threads.lifecycle.candidates import Selection
from threads.models import RetentionPolicy, Thread


@pytest.fixture(autouse=True)
def archive_directory(settings: Any) -> Iterator[str]:
    directory = tempfile.mkdtemp(prefix="threadhub-archive-")
    settings.STORAGES = {
        **settings.STORAGES,
        "archive": {
            "BACKEND": "django.core.files.storage.FileSystemStorage",
            "OPTIONS": {"location": directory},
        },
    }
    yield directory
    shutil.rmtree(directory)


COUNTERS = "SELECT workspace_id, subject, state, sum(number)::bigint FROM threads_threadcount GROUP BY 1, 2, 3"
COUNTED = """
SELECT workspace_id, coalesce(agent_id, workspace_id), state, count(*) FROM threads_thread
 WHERE state IN ('active', 'archived') GROUP BY GROUPING SETS ((workspace_id, agent_id, state), (workspace_id, state))
"""


@pytest.fixture(autouse=True)
def _counters_stay_true(request: pytest.FixtureRequest) -> Iterator[None]:
    """Whatever a test here does to threads, their counters (threads/counts.py) say what is there in the end."""
    database = next((name for name in ("transactional_db", "db") if name in request.fixturenames), None)
    if database is not None:
        request.getfixturevalue(database)
    yield
    if database is not None:
        with scope.as_owner(), connection.cursor() as cursor:
            cursor.execute(COUNTERS)
            counters = {row for row in cursor.fetchall() if row[3]}
            cursor.execute(COUNTED)
            assert counters == set(cursor.fetchall())


def old_thread(tenant: Tenant, days: float = 100, messages: int = 3, **fields: Any) -> Thread:
    """A thread that was made, and last spoken in, so many days ago."""
    thread = threads.create(actor=tenant.actor, agent_id=tenant.agent.pk, now=timezone.now(), **fields)
    drafts = [
        Draft(role=("user", "assistant")[n % 2], content=f"message {n + 1} of {thread.pk}") for n in range(messages)
    ]
    append(actor=tenant.actor, thread=thread, drafts=drafts)
    age(thread, days)
    thread.refresh_from_db()
    return thread


def age(thread: Thread, days: float) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE threads_thread SET created_at = created_at - %s,"
            " last_activity_at = last_activity_at - %s WHERE id = %s",
            [timedelta(days=days), timedelta(days=days), thread.pk],
        )


def policy(tenant: Tenant, action: str = "purge", days: int = 90, **terms: Any) -> RetentionPolicy:
    """A policy that was previewed and enabled, and is past its grace."""
    now = timezone.now()
    made = policies.create(actor=tenant.actor, now=now, action=action, days=days, **terms)
    policies.preview(actor=tenant.actor, policy=made)
    made.refresh_from_db()
    return policies.enable(actor=tenant.actor, policy=made, now=now, grace=timedelta(0))


def sweep(tenant: Tenant, *, after: timedelta = timedelta(0), brake: bool = True, **bounds: Any) -> apply.Outcome:
    """One sweep of the tenant's workspace, now or later."""
    return apply.apply(
        selection=Selection(workspace_id=tenant.workspace.pk),
        cutoff=candidates.database_now() + after,
        bounds=Bounds(**{"pause": 0, **bounds}),
        brake=brake,
    )
