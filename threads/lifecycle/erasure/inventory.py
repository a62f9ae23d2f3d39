"""What there is of a person: the list that somebody looks at before they type its code, and that must be empty after.

Nothing here changes anything. The hash is over each thing and what state it is in: a message, a title or a hold more,
and it is another list.
"""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.models import Q

from chat_sessions.models import ChatSession
from threadhub.lib import ids
from threadhub.workspaces.end_users import NOBODY
from threadhub.workspaces.models import EndUser, Membership
from threads.lifecycle import candidates
from threads.lifecycle.bundles.reader import ThreadReader
from threads.lifecycle.erasure import people
from threads.lifecycle.erasure.people import Person
from threads.models import (
    Attachment,
    Branch,
    Bundle,
    BundledThread,
    Feedback,
    Message,
    Note,
    Run,
    Thread,
    ToolApproval,
)

PAGE = 500
SAMPLE = 20
MARKED = {"run", "feedback", "approval", "branch"}  # records that tell whose they are


@dataclass(slots=True)
class Inventory:
    """Ids of all of it. `shared`: threads of others in which the person asked, answered, noted, rated or decided."""

    threads: list[UUID] = field(default_factory=list)
    held: list[UUID] = field(default_factory=list)
    shared: list[UUID] = field(default_factory=list)
    shared_archived: list[UUID] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    hash: str = ""

    @property
    def empty(self) -> bool:
        return not any(self.counts.values())

    def as_json(self) -> dict[str, Any]:
        return {
            "counts": dict(sorted(self.counts.items())),
            "blocked_by_hold": [ids.encode(Thread.PREFIX, each) for each in self.held[:SAMPLE]],
            "held": len(self.held),
            "sample": [ids.encode(Thread.PREFIX, each) for each in self.threads[:SAMPLE]],
            "hash": self.hash,
        }


def take(*, workspace_id: UUID, person: Person) -> Inventory:
    """Look at everything that there is of a person."""
    found = Inventory()
    content = hashlib.sha256()

    def note(*facts: Any) -> None:
        content.update(json.dumps(facts, default=str).encode() + b"\n")

    _threads(workspace_id, person, found, note)
    _shared(workspace_id, person, found, note)
    for name, rows in (
        ("chat_sessions", ChatSession.objects.filter(workspace_id=workspace_id, pk__in=person.sessions)),
        ("end_users", EndUser.objects.filter(workspace_id=workspace_id, user_id=person.user_id or NOBODY)),
        ("memberships", Membership.objects.filter(workspace_id=workspace_id, user_id=person.user_id or NOBODY)),
    ):
        keys = [str(each) for each in rows.filter(person.in_time).order_by("pk").values_list("pk", flat=True)]
        found.counts[name] = len(keys)
        note(name, keys)
    found.hash = content.hexdigest()
    return found


def runs_of(person: Person) -> Q:
    """The condition of a run that they asked for. Of who owns servers' keys only what they asked in sessions: their
    servers ask for others."""
    asked = Q(pk__in=[])
    if person.user_id is not None and not person.serves:
        asked |= Q(user_id=person.user_id)
    if person.sessions:
        asked |= Q(session_id__in=person.sessions)
    return asked & person.in_time


def _threads(workspace_id: UUID, person: Person, found: Inventory, note: Any) -> None:
    rows = Thread.objects.filter(person.threads, workspace_id=workspace_id).order_by("pk")
    found.threads = list(rows.values_list("pk", flat=True))
    found.counts.update(threads=len(found.threads), archived=0, trashed=0, messages=0, attachments=0)
    for start in range(0, len(found.threads), PAGE):
        page = found.threads[start : start + PAGE]
        updated = dict(Thread.objects.filter(workspace_id=workspace_id, pk__in=page).values_list("pk", "updated_at"))
        for each in candidates.load(workspace_id=workspace_id, thread_ids=page):
            facts = each.facts
            found.counts["messages"] += each.message_count
            if facts.state in ("archived", "trashed"):
                found.counts[facts.state] += 1
            if each.held:
                found.held.append(facts.id)
            note(facts.id, facts.state, each.message_count, each.last_position, each.held, updated.get(facts.id))
        files = Attachment.objects.filter(workspace_id=workspace_id, thread_id__in=page).count()
        bundled = BundledThread.objects.filter(workspace_id=workspace_id, thread_id__in=page)
        found.counts["attachments"] += files + sum(len(each) for each in bundled.values_list("files", flat=True))


def _shared(workspace_id: UUID, person: Person, found: Inventory, note: Any) -> None:
    """What they left in threads that are not theirs."""
    found.counts.update(
        runs_elsewhere=0, answers_elsewhere=0, notes_elsewhere=0, feedback_elsewhere=0, marks_elsewhere=0,
        archived_elsewhere=0, assignments=0,
    )  # fmt: skip
    if not person.identities:
        return
    theirs = Thread.objects.filter(person.threads, workspace_id=workspace_id).values("pk")
    shared: set[UUID] = set()
    by_them: dict[str, Any] = {"workspace_id": workspace_id, "author__in": person.identities}
    rows: tuple[tuple[str, Any], ...] = (
        ("runs_elsewhere", Run.objects.filter(runs_of(person), workspace_id=workspace_id)),
        ("answers_elsewhere", Message.objects.exclude(author="").filter(**by_them)),  # so that its index serves
        ("notes_elsewhere", Note.objects.filter(**by_them)),
        ("feedback_elsewhere", Feedback.objects.filter(**by_them)),
        ("marks_elsewhere", Branch.objects.filter(workspace_id=workspace_id, created_by__in=person.identities)),
        ("marks_elsewhere", ToolApproval.objects.filter(workspace_id=workspace_id, decided_by__in=person.identities)),
    )
    for name, each in rows:
        pairs = list(
            each.filter(person.in_time).exclude(thread_id__in=theirs).order_by("pk").values_list("pk", "thread_id")
        )
        found.counts[name] += len(pairs)
        shared |= {thread_id for _, thread_id in pairs}
        note(name, [str(pk) for pk, _ in pairs])
    desk = people.at_desk(workspace_id=workspace_id, person=person).exclude(pk__in=theirs)
    assigned = [str(each) for each in desk.values_list("pk", flat=True)]
    found.counts["assignments"] = len(assigned)
    note("assignments", sorted(assigned))
    found.shared = sorted(shared)
    found.shared_archived = sorted(archived_with(workspace_id, person, set(found.threads)))
    found.counts["archived_elsewhere"] = len(found.shared_archived)
    note("archived", [str(each) for each in found.shared_archived])
    every = sorted(shared | set(found.shared_archived))
    for start in range(0, len(every), PAGE):
        for each in candidates.load(workspace_id=workspace_id, thread_ids=every[start : start + PAGE]):
            if each.held:
                found.held.append(each.facts.id)
                note("held", each.facts.id)


def archived_with(workspace_id: UUID, person: Person, own: set[UUID]) -> Iterator[UUID]:
    """Archived threads of others in which they left something. Only users write messages that are told to be theirs:
    for all others a thread without anything else is not read."""
    paths = dict(Bundle.objects.filter(workspace_id=workspace_id, removed_at__isnull=True).values_list("pk", "path"))
    entries = BundledThread.objects.filter(workspace_id=workspace_id).order_by("bundle_id", "thread_id")
    for entry in entries.iterator():
        if entry.thread_id in own or (person.user_id is None and not MARKED & entry.counts.keys()):
            continue
        if is_in(ThreadReader(entry, paths[entry.bundle_id]), person):
            yield entry.thread_id


def is_in(reader: ThreadReader, person: Person) -> bool:
    """Whether they left something in an archived thread. What has none of their ids is not read further."""
    known = [str(each).encode() for each in (person.user_id, *person.sessions, *person.keys) if each is not None]
    return reader.has_any(known) and any(is_theirs(record, person) for _, record in reader.checked())


def is_theirs(record: dict[str, Any], person: Person) -> bool:
    """Whether a record of a bundle, in somebody else's thread, is of the person."""
    if record["type"] not in {"message", *MARKED}:
        return False
    if person.until is not None and datetime.fromisoformat(record["created_at"]) > person.until:
        return False
    if record["type"] == "run":
        if record.get("session_id") in {str(each) for each in person.sessions}:
            return True
        return record.get("user_id") is not None and not person.serves and record["user_id"] == str(person.user_id)
    return (record.get("author") or record.get("decided_by") or record.get("created_by")) in person.identities
