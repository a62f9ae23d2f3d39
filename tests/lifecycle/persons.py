"""A person with something everywhere, and where their words still stand."""

from pathlib import Path
from typing import Any

import pytest
import zstandard
from django.contrib.admin.models import LogEntry
from django.contrib.contenttypes.models import ContentType
from django.core.files.storage import default_storage
from django.db import connection
from django.utils import timezone

from tests.api.rest.conftest import open_session
from tests.conftest import Api, Tenant
from tests.lifecycle.conftest import old_thread
from threads.actions import feedback
from threads.actions.messages import Draft, append
from threads.attachments import Upload
from threads.lifecycle import acts, candidates, holds, restore, trash
from threads.lifecycle.erasure import erasures
from threads.models import (
    Erasure,
    Run,
    RunEvent,
    Summary,
    Thread,
)

MARK = "Zq7marker"
NOW = timezone.now

TEXTS = """
SELECT c.table_name, c.column_name FROM information_schema.columns AS c
  JOIN information_schema.tables AS t USING (table_schema, table_name)
 WHERE c.table_schema = current_schema() AND t.table_type = 'BASE TABLE'
   AND c.data_type IN ('text', 'character varying', 'json', 'jsonb', 'bytea', 'ARRAY')
"""


def places(directory: str, mark: str = MARK) -> list[str]:
    """Where the mark stands: every column of every table that can hold it, every file of the archive, every stored
    file. Letter case aside."""
    found = []
    with connection.cursor() as cursor:
        cursor.execute(TEXTS)
        for table, column in cursor.fetchall():
            cursor.execute(
                f'SELECT count(*) FROM "{table}" WHERE "{column}"::text ILIKE %s OR "{column}"::text LIKE %s',
                [f"%{mark}%", f"%{mark.encode().hex()}%"],
            )
            if cursor.fetchone()[0]:
                found.append(f"{table}.{column}")
    for path in Path(directory).rglob("*"):
        if path.is_file():
            data = path.read_bytes()
            if path.suffix == ".zst":
                data = zstandard.ZstdDecompressor().stream_reader(data, read_across_frames=True).read()
            if mark.encode() in data:
                found.append(str(path))
    return found + [path for path in stored() if mark.encode() in content(path)]


def content(path: str) -> bytes:
    with default_storage.open(path) as file:
        data: bytes = file.read()
    return data


def stored(folder: str = "") -> list[str]:
    folders, names = default_storage.listdir(folder) if folder == "" or default_storage.exists(folder) else ([], [])
    return [f"{folder}/{name}".lstrip("/") for name in names] + [
        each for inner in folders for each in stored(f"{folder}/{inner}".lstrip("/"))
    ]


@pytest.fixture(autouse=True)
def own_attachments(settings: Any, tmp_path: Path) -> None:
    settings.STORAGES = {
        **settings.STORAGES,
        "default": {
            "BACKEND": "django.core.files.storage.FileSystemStorage",
            "OPTIONS": {"location": str(tmp_path / "files")},
        },
    }
    (tmp_path / "files").mkdir()


def written(tenant: Tenant, thread: Thread, mark: str = MARK) -> Thread:
    """Everything of a thread that can hold words, with the mark in it."""
    call = [{"id": "c", "name": "t", "arguments": {"who": f"{mark} call"}}]
    drafts = [
        Draft(role="user", content=f"I am {mark}", extra={"x": f"{mark} extra"}),
        Draft(role="assistant", content=None, tool_calls=call),
        Draft(role="tool", tool_call_id="c", tool_result={"r": f"{mark} result"}, name="t"),
        Draft(role="user", content="file", uploads=[Upload(f"{mark}.txt", "text/plain", f"{mark} file".encode())]),
        Draft(role="assistant", content=f"Hello {mark}"),
    ]
    stored = append(actor=tenant.actor, thread=thread, drafts=drafts)
    number = Run.objects.filter(thread_id=thread.pk).count() + 1
    run = Run.objects.create(
        workspace_id=thread.workspace_id, thread=thread, agent=tenant.agent, number=number, status="succeeded",
        finished_at=NOW(), input={"m": f"{mark} input"}, context={"instructions": f"{mark} context"},
        options={"context": f"{mark} option"}, error_message=f"{mark} error",
    )  # fmt: skip
    RunEvent.objects.create(workspace_id=run.workspace_id, run=run, seq=1, type="text_delta", data={"t": mark})
    Summary.objects.create(workspace_id=run.workspace_id, thread=thread, from_position=1, to_position=2, text=mark)
    feedback.give(
        actor=tenant.actor, thread=thread, message=stored[-1], rating=1, now=NOW(), text=f"{mark} says", tags=[mark]
    )
    Thread.objects.filter(pk=thread.pk).update(title=f"{mark} title", metadata={"m": f"{mark} metadata"})
    thread.refresh_from_db()
    return thread


def erase(tenant: Tenant, kind: Any, value: Any) -> Erasure:
    actor = erasures.actors.system(tenant.workspace.pk)
    planned = erasures.plan(actor=actor, kind=kind, value=value, now=NOW())
    erasures.confirm(
        actor=actor, erasure=planned, code=erasures.code_of(tenant.workspace.pk, planned.plan_hash), now=NOW()
    )
    return erasures.proceed(workspace_id=tenant.workspace.pk, erasure_id=planned.pk)


def put_everywhere(api: Api, tenant: Tenant) -> None:
    """Threads of a reference in every state, in bundles with others', a session, answers, log entries, the trail."""
    reference = f"{MARK}-ref"
    threads = [written(tenant, old_thread(tenant, external_ref=reference, messages=1)) for _ in range(5)]
    other = old_thread(tenant, external_ref="other")
    now = candidates.database_now()
    from django.db import transaction

    from threads.lifecycle.bundles import archive

    with transaction.atomic():
        archive.archive(workspace_id=tenant.workspace.pk, thread_ids=[threads[1].pk, other.pk], now=now)
        trash.put(workspace_id=tenant.workspace.pk, thread_ids=[threads[2].pk], now=now, days=9)
    acts.archive(actor=tenant.actor, thread=threads[3], now=now)
    trash.put(workspace_id=tenant.workspace.pk, thread_ids=[threads[3].pk], now=now, days=9)
    Thread.objects.filter(pk=threads[4].pk).update(state="temporary")
    # A thread that was archived and restored: its old file lies about for a day.
    again = acts.archive(actor=tenant.actor, thread=threads[0], now=now)
    restore.restore(actor=tenant.actor, thread=again, now=now)
    session = open_session(api, tenant, external_ref=reference, name=f"{MARK} Name", metadata={"m": MARK})
    assert session["id"]
    api.post(f"/agents/{tenant.agent.wire_id}/threads", {"external_ref": reference}, HTTP_IDEMPOTENCY_KEY=f"{MARK}-key")
    LogEntry.objects.create(
        user=tenant.owner, content_type=ContentType.objects.get_for_model(Thread), object_id=str(threads[0].pk),
        object_repr=f"{MARK} title", action_flag=2, change_message=f"{MARK} was here",
    )  # fmt: skip
    hold = holds.place(actor=tenant.actor, scope="external_ref", external_ref=reference, reason="x", now=now)
    holds.release(actor=tenant.actor, hold=hold, now=now)
    from threadhub import audit

    audit.record(actor=tenant.actor, action="test.note", ids=[], details={"ref": reference, "kept": "words"})
