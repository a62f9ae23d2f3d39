"""Bringing threads in: all that a file holds, or nothing.

Threads that are there already are left alone, those of people who were erased stay away. Ids are kept where a file
goes back into its own workspace, and made of the old ones anywhere else: so a second import finds the first.
"""

import hashlib
import tempfile
import zipfile
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from itertools import groupby
from pathlib import Path
from typing import IO, Any
from uuid import UUID, uuid5

import psycopg
from django.core.files.base import File
from django.core.files.storage import default_storage
from django.db import DataError, IntegrityError, transaction

from chat_sessions.models import ChatSession
from threadhub import audit
from threadhub.agents.models import Agent
from threadhub.lib import ids, json
from threadhub.workspaces.actor import Actor
from threadhub.workspaces.models import User
from threadhub.workspaces.permissions import Permission
from threads import tool_uses
from threads.lifecycle import restore, staging
from threads.lifecycle.bundles import records
from threads.lifecycle.erasure import ledger
from threads.lifecycle.importing import foreign
from threads.lifecycle.importing.own import OwnExport
from threads.lifecycle.importing.refusal import ImportRefused
from threads.models import Thread, Tombstone

# A column that does not take a value says so by Django, or by the driver while rows are copied.
NOT_TAKEN = (DataError, IntegrityError, psycopg.DataError, psycopg.IntegrityError)
MAX_JSON = 512 * 2**20
NAMED_AT_ONCE = 500
OWN_IDS = {"run_id", "message_id", "thread_id", "continues", "continued_by", "answer_id"}  # of rows of the same file
CONVERSATIONS = "conversations.json"


@dataclass(slots=True)
class Imported:
    """What came in, by number; `skipped` by reason: present, erased."""

    threads: list[UUID] = field(default_factory=list)
    messages: int = 0
    skipped: Counter[str] = field(default_factory=Counter)
    files: list[str] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        return {"threads": len(self.threads), "messages": self.messages, "skipped": dict(sorted(self.skipped.items()))}


@dataclass(frozen=True, slots=True)
class Target:
    """Where threads come in: with which agent where theirs is not there, whose they are where nobody is."""

    workspace_id: UUID
    agent_id: UUID | None
    user_id: UUID | None
    moved: bool  # from another workspace: ids are made anew
    erased: ledger.Erased  # who must not come back


class DryRun(Exception):
    """Everything was tried; nothing is kept."""


def import_file(
    *,
    actor: Actor,
    path: Path,
    now: datetime,
    agent_id: UUID | None = None,
    user_id: UUID | None = None,
    dry_run: bool = False,
) -> Imported:
    """Import a file: an export of threadhub, of ChatGPT (its zip, or `conversations.json`), or threads of the
    Assistants API as JSON. Raises ImportRefused, RestoreConflict, PermissionMissing."""
    actor.require(Permission.EXPORT_WRITE)
    done = Imported()
    erased = ledger.erased(workspace_id=actor.workspace_id)
    try:
        with transaction.atomic():
            with _opened(path) as source:
                if isinstance(source, OwnExport):
                    moved = source.workspace_id != actor.workspace_id
                    target = Target(actor.workspace_id, agent_id, user_id, moved, erased)
                    _own(source, target, done, now)
                else:
                    _foreign(source, Target(actor.workspace_id, agent_id, user_id, False, erased), done, now)
            _note(actor, done)
            if dry_run:
                raise DryRun
    except DryRun:
        _discard(done)
    except NOT_TAKEN as error:
        _discard(done)
        raise ImportRefused(f"The database does not take it: {str(error).splitlines()[0]}") from error
    except BaseException:
        _discard(done)
        raise
    return done


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """The file as an own export, or its JSON."""
    if not zipfile.is_zipfile(path):
        with path.open("rb") as file:
            yield _json(file)
        return
    with zipfile.ZipFile(path) as archive:
        if CONVERSATIONS in archive.namelist():
            with archive.open(CONVERSATIONS) as file:
                yield _json(file)
        else:
            yield OwnExport(archive)


def _json(file: IO[bytes]) -> Any:
    text = file.read(MAX_JSON + 1)
    if len(text) > MAX_JSON:
        raise ImportRefused("The file is larger than what can be read at once.")
    try:
        return json.loads(text)
    except (json.MalformedJSON, json.RefusedJSON) as error:
        raise ImportRefused(f"The file cannot be kept: {error}") from error


def _own(source: OwnExport, target: Target, done: Imported, now: datetime) -> None:
    for thread_id, found in source.threads():
        _thread(thread_id, _checked(found, thread_id, source.workspace_id), target, done, now, source)


def _foreign(data: Any, target: Target, done: Imported, now: datetime) -> None:
    if target.agent_id is None:
        raise ImportRefused("Say with which agent these threads are to be.")
    for thread_id, found in foreign.read(data, workspace_id=target.workspace_id, agent_id=target.agent_id):
        _thread(thread_id, iter(found), target, done, now, None)


def _checked(found: Iterable[dict[str, Any]], thread_id: UUID, workspace_id: UUID) -> Iterator[dict[str, Any]]:
    """Records that are of this thread and workspace, in the order of their kinds."""
    rank = -1
    for record in found:
        own = record.get("id" if record["type"] == "thread" else "thread_id")
        if (own, record.get("workspace_id")) != (str(thread_id), str(workspace_id)):
            raise ImportRefused("A record is of another thread or workspace than it stands under.")
        if records.RANK[record["type"]] < rank or (rank < 0) != (record["type"] == "thread"):
            raise ImportRefused("The records of a thread are not in their order.")
        rank = records.RANK[record["type"]]
        yield record


def _thread(
    thread_id: UUID,
    found: Iterator[dict[str, Any]],
    target: Target,
    done: Imported,
    now: datetime,
    source: OwnExport | None,
) -> None:
    head = next(found, None)
    if head is None:
        raise ImportRefused("A thread of the export has no record.")
    thread: Thread = _instance(_placed(head, target), Thread)
    reason = _skip(thread, thread_id, target)
    if reason is not None:
        done.skipped[reason] += 1
        for _ in found:
            pass
        return
    _settle(thread, target, now)
    for kind, group in groupby(found, key=lambda record: record["type"]):
        if kind == "thread":
            raise ImportRefused("A thread of the export has two records.")
        rows = (_row(record, target, thread, done, source) for record in group)
        try:
            count = staging.stage(kind, rows, thread.pk, target.workspace_id, before=done.messages)
        except records.BadRecord as error:
            raise ImportRefused(f"A record cannot be read: {error}.") from error
        done.messages += count if kind == "message" else 0
    tool_uses.note_all(thread_ids=[thread.pk], workspace_id=thread.workspace_id)
    done.threads.append(thread.pk)


def _skip(thread: Thread, original: UUID, target: Target) -> str | None:
    if Thread.objects.filter(pk=thread.pk, workspace_id=target.workspace_id).exists():
        return "present"
    stones = Tombstone.objects.filter(thread_id=thread.pk, workspace_id=target.workspace_id)
    erased = stones.filter(reason=Tombstone.Reason.ERASURE).exists()
    if erased or target.erased.has(thread) or original in target.erased.threads:
        return "erased"
    stones.delete()  # it is there again; that it was purged once stands in the trail
    return None


def _settle(thread: Thread, target: Target, now: datetime) -> None:
    """The thread's row: its agent, user and session only where they are here. No policy takes it for a while."""
    here = {"workspace_id": target.workspace_id}
    if not Agent.objects.filter(pk=thread.agent_id, **here).exists():
        if target.agent_id is None:
            raise ImportRefused("The agent of a thread is not in this workspace: say which one is to have it.")
        thread.agent_id = target.agent_id
    if thread.user_id is None or not User.objects.filter(pk=thread.user_id).exists():
        thread.user_id = target.user_id
    session = thread.chat_session_id
    if session is not None and not ChatSession.objects.filter(pk=session, **here).exists():
        thread.chat_session_id = None
    thread.state, thread.exempt_until = Thread.State.ACTIVE, now + restore.GRACE
    thread.save(force_insert=True)


def _row(
    record: dict[str, Any], target: Target, thread: Thread, done: Imported, source: OwnExport | None
) -> dict[str, Any]:
    placed = _placed(record, target)
    if record["type"] == "run":
        placed["agent_id"] = str(thread.agent_id)
        if record.get("status") in ("queued", "running"):
            placed |= {"status": "failed", "error_code": "worker_lost", "waiting": False}
    if record["type"] == "attachment":
        placed["file"] = _file(record, placed, source, done)
    return placed


def _placed(record: dict[str, Any], target: Target) -> dict[str, Any]:
    """A record as it is to stand here: with ids made of the old ones where it comes from another workspace."""
    if not target.moved:
        return dict(record)
    placed = {name: _new_id(value, target) if name in OWN_IDS else value for name, value in record.items()}
    placed["id"] = _new_id(record["id"], target)
    placed["workspace_id"] = str(target.workspace_id)
    for name in ("user_id", "session_id", "chat_session_id", "replay", "tool_id"):
        if name in placed:
            placed[name] = None  # of the other workspace
    return placed


def _new_id(value: Any, target: Target) -> str | None:
    return None if value is None else str(uuid5(foreign.NAMESPACE, f"{target.workspace_id}:{UUID(str(value))}"))


def _instance(record: dict[str, Any], model: type[Any]) -> Any:
    try:
        return records.instance(record, model)
    except records.BadRecord as error:
        raise ImportRefused(f"A record cannot be read: {error}.") from error


def _file(record: dict[str, Any], placed: dict[str, Any], source: OwnExport | None, done: Imported) -> str:
    """Store the file of an attachment, once it is what its record says."""
    opened = source.file(UUID(record["id"])) if source is not None else None
    if opened is None:
        raise ImportRefused("A file of an attachment is missing.")
    with opened, tempfile.TemporaryFile() as copy:
        digest = hashlib.sha256()
        while part := opened.read(2**20):
            digest.update(part)
            copy.write(part)
        if (copy.tell(), digest.hexdigest()) != (record["size"], record["sha256"]):
            raise ImportRefused("A file of an attachment is not what its record says.")
        copy.seek(0)
        name = default_storage.save(f"{placed['workspace_id']}/{placed['thread_id']}/{placed['id']}", File(copy))
    done.files.append(name)
    return name


def _note(actor: Actor, done: Imported) -> None:
    named = [ids.encode(Thread.PREFIX, each) for each in done.threads]
    for start in range(0, len(named), NAMED_AT_ONCE):
        chosen = named[start : start + NAMED_AT_ONCE]
        audit.record(actor=actor, action="thread.import", ids=chosen, details={"threads": len(chosen)})


def _discard(done: Imported) -> None:
    for name in done.files:
        default_storage.delete(name)
