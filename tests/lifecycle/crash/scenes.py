"""What there is before a command runs, the command, and what there must be when it has done its work. A scene is a
workspace of its own, so that one database serves them all."""

import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from typing import Any

from django.db import connection, transaction
from django.utils import timezone

from chat_sessions.models import ChatSession
from tests.conftest import Tenant, make_tenant
from tests.lifecycle.conftest import old_thread, policy
from threadhub import audit
from threadhub.workspaces import actor as actors
from threads.actions import feedback
from threads.actions.messages import Draft, append
from threads.attachments import Upload
from threads.lifecycle.bundles import archive
from threads.lifecycle.erasure import erasures
from threads.models import Run, RunEvent, Thread


@dataclass
class Scene:
    """`goal`: each thread's state at the end; None: gone, with a tombstone. A thread's words may be in the tables or in
    a bundle meanwhile, always in exactly one of them. `finish`: what is run after the break, with the exit codes that
    are well; the command itself where nothing is said. `erased`: what names a person who is erased: from the first loss
    on a durable ledger knows of it, and at the end it stands nowhere."""

    workspace: str
    folder: str  # of its bundles
    argv: list[str]
    goal: dict[str, str | None] = field(default_factory=dict)
    finish: list[tuple[list[str], tuple[int, ...]]] = field(default_factory=list)
    erased: str = ""

    def __post_init__(self) -> None:
        self.finish = self.finish or [(self.argv, (0,))]


def archive_scene(parallel: int = 1) -> Scene:
    """Threads of two months: two bundles, in two transactions, so many of them at a time."""
    tenant = make_tenant(f"crash {uuid.uuid4().hex}")
    threads = [full_thread(tenant, 100), old_thread(tenant, 99), old_thread(tenant, 30)]
    argv = [
        "archive_threads", "--workspace", tenant.workspace.wire_id, "--batch-size", "2", "--parallel", str(parallel),
        "--yes",
    ]  # fmt: skip
    return _scene(tenant, argv, dict.fromkeys(map(_id, threads), "archived"))


def restore_scene(parallel: int = 1) -> Scene:
    """Two threads of one bundle, and one that stays in it; so many batches at a time."""
    tenant = make_tenant(f"crash {uuid.uuid4().hex}")
    going = [full_thread(tenant, 100), old_thread(tenant, 99)]
    staying = old_thread(tenant, 20)
    _bundle([*going, staying])
    argv = [
        "restore_threads", "--workspace", tenant.workspace.wire_id, "--older-than", "50d", "--batch-size", "1",
        "--parallel", str(parallel), "--yes",
    ]  # fmt: skip
    return _scene(tenant, argv, {**dict.fromkeys(map(_id, going), "active"), _id(staying): "archived"})


def purge_scene() -> Scene:
    """A live thread with a file and an archived one go; another in the same bundle, and a live one, stay."""
    tenant = make_tenant(f"crash {uuid.uuid4().hex}")
    live, bundled = full_thread(tenant, 100), full_thread(tenant, 99)
    staying, neighbour = old_thread(tenant, 20), old_thread(tenant, 20)
    _bundle([bundled, neighbour])
    policy(tenant, days=90)
    argv = [
        "retention_apply", "--workspace", tenant.workspace.wire_id, "--batch-size", "1", "--no-brake", "--yes",
    ]  # fmt: skip
    goal = {_id(live): None, _id(bundled): None, _id(staying): "active", _id(neighbour): "archived"}
    return _scene(tenant, argv, goal)


def erase_scene() -> Scene:
    """A person with a live thread and an archived one, both with files, with a chat session, a title and what the trail
    says; somebody else's thread in the same bundle, and a live one, stay."""
    tenant = make_tenant(f"crash {uuid.uuid4().hex}")
    person = f"person {uuid.uuid4().hex}"
    live, bundled = (full_thread(tenant, days, external_ref=person, title=person) for days in (100, 99))
    staying, neighbour = old_thread(tenant, 20), old_thread(tenant, 20)
    _bundle([bundled, neighbour])
    now = timezone.now()
    ChatSession.objects.create(
        workspace=tenant.workspace, agent=tenant.agent, external_ref=person, name=person, metadata={"who": person},
        refresh_digest=uuid.uuid4().bytes * 2, expires_at=now, idle_expires_at=now,
    )  # fmt: skip
    audit.record(actor=tenant.actor, action="test.note", ids=[], details={"who": person})
    _, listed = erasures.look(actor=actors.system(tenant.workspace.pk), kind="external_ref", value=person)
    code = erasures.code_of(tenant.workspace.pk, listed.hash)
    argv = [
        "erase_person", "--workspace", tenant.workspace.wire_id, "--external-ref", person, "--code", code, "--json",
    ]  # fmt: skip
    goal = {_id(live): None, _id(bundled): None, _id(staying): "active", _id(neighbour): "archived"}
    scene = _scene(tenant, argv, goal)
    # What was confirmed is resumed; what was not is erased now, by the same code, since nothing has changed. Of
    # whom nothing is left the command finds nobody.
    scene.finish, scene.erased = [(["erase_person", "--resume", "--yes"], (0,)), (argv, (0, 1))], person
    return scene


SCENES: dict[str, Callable[[], Scene]] = {
    "archive": archive_scene,
    "restore": restore_scene,
    "purge": purge_scene,
    "erase": erase_scene,
    "archive_beside": partial(archive_scene, parallel=2),
    "restore_beside": partial(restore_scene, parallel=3),
}


def full_thread(tenant: Tenant, days: float, **fields: Any) -> Thread:
    """With a file, a run with events, and feedback."""
    thread = old_thread(tenant, days, messages=2, **fields)
    upload = Upload("a.txt", "text/plain", b"file of " + str(thread.pk).encode())
    append(actor=tenant.actor, thread=thread, drafts=[Draft(role="user", content="see", uploads=[upload])])
    (said,) = append(
        actor=tenant.actor, thread=thread, drafts=[Draft(role="assistant", content="seen", extra={"n": 1})]
    )
    now = timezone.now()
    run = Run.objects.create(
        workspace_id=thread.workspace_id, thread=thread, agent=tenant.agent, number=1, status="succeeded",
        answer_id=said.pk, finished_at=now, started_at=now,
    )  # fmt: skip
    RunEvent.objects.create(workspace_id=run.workspace_id, run=run, seq=1, type="message_start", data={"id": "x"})
    feedback.give(actor=tenant.actor, thread=thread, message=said, rating=1, now=now)
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE threads_thread SET last_activity_at = created_at + %s WHERE id = %s",
            [timedelta(minutes=1), thread.pk],
        )
    thread.refresh_from_db()
    return thread


def _bundle(threads: list[Thread]) -> None:
    with transaction.atomic():
        archive.archive(
            workspace_id=threads[0].workspace_id, thread_ids=[each.pk for each in threads], now=timezone.now()
        )


def _scene(tenant: Tenant, argv: list[str], goal: Any) -> Scene:
    return Scene(str(tenant.workspace.pk), tenant.workspace.wire_id, argv, goal)


def _id(thread: Thread) -> str:
    return str(thread.pk)
