"""A thread with everything that one can have, its rows, and the files of the archive."""

from pathlib import Path
from typing import Any

import pytest
from django.db import connection, transaction
from django.utils import timezone

from tests.conftest import Tenant
from tests.lifecycle.conftest import old_thread
from threads.actions import feedback
from threads.actions.messages import Draft, append
from threads.attachments import Upload
from threads.lifecycle import acts
from threads.lifecycle.bundles import records
from threads.models import Message, Run, RunEvent, Summary, Thread

NOW = timezone.now


def full_thread(tenant: Tenant) -> Thread:
    """With everything that a thread can have."""
    thread = old_thread(tenant, 3, messages=2, metadata={"plan": "gold", "big": 2**53 + 1}, external_ref="ref")
    append(actor=tenant.actor, thread=thread, drafts=[Draft(role="user", content="tell me")])
    (said,) = append(actor=tenant.actor, thread=thread, drafts=[Draft(role="assistant", content="so it is")])
    run = Run.objects.create(
        workspace_id=thread.workspace_id, thread=thread, agent=tenant.agent, number=1, status="succeeded",
        answer_id=said.pk, input_tokens=3, output_tokens=4, cost="0.000000000012", finished_at=NOW(), started_at=NOW(),
    )  # fmt: skip
    RunEvent.objects.create(workspace_id=run.workspace_id, run=run, seq=1, type="message_start", data={"id": "x"})
    draft = Draft(
        role="user",
        content='žluťoučký kůň \u2028 \u202e 🐎\r\n\t"',
        extra={"n": 2**63 - 1, "f": 1.5, "deep": [{"a": None}]},
        uploads=[Upload("a.txt", "text/plain", b"file")],
    )
    append(actor=tenant.actor, thread=thread, drafts=[draft])
    last = Message.objects.of_thread(thread).filter(role="assistant").last()
    assert last is not None
    feedback.give(actor=tenant.actor, thread=thread, message=last, rating=1, now=NOW(), tags=["good", "fast"])
    Summary.objects.create(workspace_id=thread.workspace_id, thread=thread, from_position=1, to_position=2, text="s")
    thread.refresh_from_db()
    return thread


def rows(thread: Thread) -> dict[str, list[Any]]:
    found = {}
    with connection.cursor() as cursor:
        for kind, model, order in records.PARTS:
            cursor.execute(
                f"SELECT to_jsonb(t)::text FROM {model._meta.db_table} AS t WHERE thread_id = %s ORDER BY {order}",
                [thread.pk],
            )
            found[kind] = cursor.fetchall()
    return found


def files(directory: str) -> list[Path]:
    return sorted(path for path in Path(directory).rglob("*") if path.is_file())


def crash_after_archiving(tenant: Tenant, thread: Thread) -> None:
    """The bundle is there, the transaction is not committed."""

    def archive() -> None:
        with transaction.atomic():
            acts.archive(actor=tenant.actor, thread=thread, now=NOW())
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        archive()
