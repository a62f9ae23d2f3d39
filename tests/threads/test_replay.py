"""Events of runs long finished are told again from the messages."""

import asyncio
from datetime import timedelta

import pytest
from django.utils import timezone

from tests.conftest import Tenant
from tests.threads.conftest import answer
from threads.models import Run, RunEvent, Thread
from threads.runs.events import StoredEvent
from threads.runs.follow import follow
from threads.runs.replay import compact_finished

pytestmark = pytest.mark.django_db(transaction=True)


def read(run: Run, after: int = 0) -> list[StoredEvent]:
    async def every() -> list[StoredEvent]:
        return [event async for event in follow(run_id=run.pk, workspace_id=run.workspace_id, after=after)]

    return asyncio.run(every())


def compact() -> int:
    return compact_finished(now=timezone.now() + timedelta(days=2))


@pytest.mark.parametrize(
    "prompt", ["/length 80", '/tool current_time {"zone": "UTC"}', "/fail provider_unauthorized 3"]
)
def test_a_compacted_run_replays_event_by_event_what_it_was(tenant: Tenant, thread: Thread, prompt: str) -> None:
    run = answer(tenant, thread, prompt)
    before = read(run)
    assert compact() == 1
    assert RunEvent.objects.count() == 0
    assert read(run) == before
    assert read(run, after=3) == before[3:]
    assert compact() == 0


def test_the_runs_of_today_keep_their_rows(tenant: Tenant, thread: Thread) -> None:
    answer(tenant, thread, "/say fresh")
    assert compact_finished(now=timezone.now()) == 0
    assert RunEvent.objects.exists()


def test_what_was_deleted_since_is_not_told_again(tenant: Tenant, thread: Thread) -> None:
    run = answer(tenant, thread, "/say secret")
    compact()
    thread.messages.filter(position=2)._raw_delete(using="default")
    assert "secret" not in str(read(run))
    assert read(run)[-1].type == "message_stop"
