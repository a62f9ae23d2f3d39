"""A thread with all that a thread can have: read from its bundle as it was read before, and restored as it was."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from django.core.files.storage import default_storage
from django.utils import timezone

from tests.api.rest.conftest import streamed
from tests.conftest import Api, Tenant
from tests.lifecycle.bundled import rows
from tests.threads.conftest import answer
from threads import stray_files
from threads.actions import copy as copying
from threads.actions import feedback, threads
from threads.actions.branches import activate
from threads.actions.messages import Draft
from threads.attachments import Upload
from threads.branches import get as branch
from threads.lifecycle import acts, reading, restore
from threads.models import Message, Run, RunEvent, Summary, Thread, ToolApproval
from threads.runs import again
from threads.runs.execute import execute
from threads.runs.follow import follow
from threads.runs.replay import compact

NOW = timezone.now
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def thread(tenant: Tenant) -> Thread:
    """Answers with tools and files, an edited question, an answer given anew on a branch that is not active any more,
    feedback, a summary, an approval that somebody refused, a title by the agent."""
    made = threads.create(
        actor=tenant.actor, agent_id=tenant.agent.pk, now=NOW(), title="By hand", metadata={"n": 2**53 + 1}
    )
    upload = Upload("a.txt", "text/plain", b"file")
    first = answer(tenant, made, "/length 80")
    second = answer(tenant, made, '/tool current_time {"zone": "UTC"}')
    _work(again.edit(
        actor=tenant.actor, thread=made, message=_said(made, first, role="user"), now=NOW(),
        drafts=[Draft(role="user", content="/say edited", uploads=[upload])],
    ).run)  # fmt: skip
    made.refresh_from_db()
    third = _work(again.regenerate(
        actor=tenant.actor, thread=made, message=_said(made, second, role="assistant"), now=NOW()
    ).run)  # fmt: skip
    made.refresh_from_db()
    activate(actor=tenant.actor, thread=made, number=2, now=NOW())
    made.refresh_from_db()
    for run in (first, third):
        said = _said(made, run, role="assistant")
        feedback.give(actor=tenant.actor, thread=made, message=said, rating=1, now=NOW(), text="yes", tags=["good"])
    Summary.objects.create(workspace_id=made.workspace_id, thread=made, from_position=1, to_position=2, text="short")
    ToolApproval.objects.create(
        workspace_id=made.workspace_id, thread=made, run=second, tool_name="order", tool_digest=b"d" * 32,
        tool_call_id="call", arguments='{"n":9007199254740993}', arguments_digest=b"a" * 32, status="refused",
        expires_at=NOW(), decided_at=NOW(), decided_by=tenant.actor.identity, reason="no",
    )  # fmt: skip
    for run in Run.objects.of_thread(made):
        compact(run=run)
    made.refresh_from_db()
    return made


def _work(run: Run) -> Run:
    asyncio.run(execute(run_id=run.pk, workspace_id=run.workspace_id))
    run.refresh_from_db()
    return run


def _said(thread: Thread, run: Run, *, role: str) -> Message:
    """A message of the run; with `role=user` the question before it."""
    of_run = Message.objects.of_all_branches(thread)
    if role == "user":
        position = of_run.filter(run_id=run.pk).order_by("position").values_list("position", flat=True)[0]
        return of_run.get(position=position - 1)
    found = of_run.filter(run_id=run.pk, role=role).order_by("position").last()
    assert found is not None
    return found


def paths(thread: Thread) -> list[str]:
    root = f"/threads/{thread.wire_id}"
    every = Message.objects.of_all_branches(thread)
    runs = [f"{root}/runs/{run.wire_id}" for run in Run.objects.of_thread(thread)]
    return [
        f"{root}/branches", f"{root}/runs", f"{root}/messages", *(f"{root}/messages?branch={n}" for n in (1, 2, 3)),
        *(f"{root}/messages/{each.wire_id}" for each in every),
        *(f"{root}/messages/{each.wire_id}/feedback" for each in every.filter(feedback__isnull=False)),
        *runs, *(f"{run}/context" for run in runs), f"{root}/export?format=markdown", f"{root}/export?format=csv",
    ]  # fmt: skip


def read(api: Api, wanted: list[str]) -> dict[str, Any]:
    found = {}
    for path in wanted:
        response = api.get(path)
        assert response.status_code == 200, (path, response.content)
        body = b"".join(response) if response.streaming else response.content
        found[path] = response.json() if response["Content-Type"] == "application/json" else body
    return found


def told(tenant: Tenant, path: str) -> list[tuple[str, str, Any]]:
    """The events of a stream: number, type, data."""
    frames = asyncio.run(streamed(tenant.key, path)).decode().strip().split("\n\n")
    parts = [dict(line.split(": ", 1) for line in frame.split("\n")) for frame in frames]
    return [(part.get("id", ""), part["event"], json.loads(part["data"])) for part in parts]


def test_it_is_read_from_its_bundle_as_it_was(api: Api, tenant: Tenant, thread: Thread) -> None:
    wanted = paths(thread)
    assert len(wanted) > 25
    before = read(api, wanted)
    acts.archive(actor=tenant.actor, thread=thread, now=NOW())
    assert not Message.objects.exists()
    assert not Run.objects.exists()
    archived = read(api, wanted)
    assert {path: archived[path] for path in wanted if archived[path] != before[path]} == {}


def test_it_is_restored_as_it_was(api: Api, tenant: Tenant, thread: Thread) -> None:
    wanted, before = paths(thread), rows(thread)
    assert all(before.values())
    read_before = read(api, wanted)
    archived = acts.archive(actor=tenant.actor, thread=thread, now=NOW())
    restored = restore.restore(actor=tenant.actor, thread=archived, now=NOW())
    assert rows(thread) == before
    own = {"state", "updated_at", "exempt_until", "bundle_id", "archived_at"}
    for field in Thread._meta.concrete_fields:
        if field.attname not in own:
            assert getattr(restored, field.attname) == getattr(thread, field.attname), field.attname
    assert read(api, wanted) == read_before
    assert [each.content for each in reading.messages(restored)] == ["/say edited", "edited"]
    activate(actor=tenant.actor, thread=restored, number=1, now=NOW())
    answer(tenant, restored, "/say on")  # it goes on, on whichever branch
    assert branch(thread=Thread.objects.get(), number=1).number == 1


def test_files_of_a_copy_outlive_the_thread_and_go_with_the_copy(tenant: Tenant, thread: Thread) -> None:
    def stored() -> set[Path]:
        root = Path(default_storage.path(str(tenant.workspace.pk)))
        return {path for path in root.rglob("*") if path.is_file()}

    def lost() -> list[str]:
        return [name for name in stray_files.missing() if name.startswith(str(tenant.workspace.pk))]

    before = stored()
    twin = copying.copy(actor=tenant.actor, thread=thread, now=NOW())
    own = stored() - before
    assert (len(before), len(own)) == (1, 1)
    archived = acts.archive(actor=tenant.actor, thread=twin, now=NOW())
    assert acts.delete(actor=tenant.actor, thread=thread, now=NOW()) == "purge"
    assert (stored(), lost()) == (own, [])
    restored = restore.restore(actor=tenant.actor, thread=archived, now=NOW())
    with restored.attachments.get().file.open("rb") as file:
        assert file.read() == b"file"
    assert (stored(), lost()) == (own, [])
    acts.delete(actor=tenant.actor, thread=restored, now=NOW())
    assert stored() == set()


def test_events_of_its_runs_are_told_again(tenant: Tenant, thread: Thread) -> None:
    runs = list(Run.objects.of_thread(thread))
    where = [f"/threads/{thread.wire_id}/runs/{run.wire_id}/events" for run in runs]
    before = [told(tenant, path) for path in where]
    acts.archive(actor=tenant.actor, thread=thread, now=NOW())
    assert [told(tenant, path) for path in where] == before
    assert told(tenant, f"{where[0]}?after=2") == before[0][2:]


def test_a_reader_whose_thread_is_archived_meanwhile_misses_nothing(tenant: Tenant) -> None:
    made = threads.create(actor=tenant.actor, agent_id=tenant.agent.pk, now=NOW())
    run = answer(tenant, made, "/say all of it")
    last = list(RunEvent.objects.filter(run_id=run.pk).order_by("seq").values_list("seq", "type"))

    async def follow_it() -> list[tuple[int, str]]:
        found = []
        async for event in follow(run_id=run.pk, workspace_id=run.workspace_id, thread_id=made.pk):
            found.append((event.seq, event.type))
        return found

    acts.archive(actor=tenant.actor, thread=made, now=NOW())
    assert asyncio.run(follow_it()) == last


def test_what_was_never_asked_is_told_once_it_is_back(api: Api, tenant: Tenant, thread: Thread) -> None:
    run = Run.objects.of_thread(thread)[0]
    Run.objects.filter(pk=run.pk).update(context=None)
    path = f"/threads/{thread.wire_id}/runs/{run.wire_id}/context"
    assert api.get(path).status_code == 200
    acts.archive(actor=tenant.actor, thread=thread, now=NOW())
    refused = api.get(path)
    assert (refused.status_code, refused.json()["code"]) == (409, "thread_archived")


def test_a_lost_bundle_is_an_error_and_no_event(tenant: Tenant, thread: Thread, archive_directory: str) -> None:
    run = Run.objects.of_thread(thread)[0]
    acts.archive(actor=tenant.actor, thread=thread, now=NOW())
    for path in Path(archive_directory).rglob("*.zst"):
        path.unlink()

    async def every() -> list[str]:
        thread_id, workspace_id = thread.pk, run.workspace_id
        return [e.type async for e in follow(run_id=run.pk, workspace_id=workspace_id, thread_id=thread_id)]

    assert asyncio.run(every()) == ["error", "message_stop"]
