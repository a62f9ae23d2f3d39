"""What is left of a person beside threads: sessions, their entry as end user or member, their account where it is of
this workspace only, answers kept for repeated requests, counters, the trail's values, files that a crash left."""

from datetime import datetime
from typing import Any
from uuid import UUID

from django.apps import apps
from django.contrib.admin.models import LogEntry
from django.contrib.auth.hashers import make_password
from django.core.files.storage import default_storage
from django.db import connection, transaction
from django.db.models import Q

from chat_sessions import endings
from chat_sessions.models import ChatSession
from threadhub import audit
from threadhub.audit import forgetting
from threadhub.isolation import scope
from threadhub.isolation.scope import Door
from threadhub.lib import ids, sealed
from threadhub.workspaces import actor as actors
from threadhub.workspaces.models import ApiKey, EndUser, Invitation, Membership, RefreshToken, User, Workspace
from threads.lifecycle import candidates
from threads.lifecycle.bundles import adoption, archive, vault
from threads.lifecycle.erasure.people import Person, digest
from threads.models import Bundle, Export, Hold, Thread

ACTOR_CHUNK = 1000


@transaction.atomic
def remove(*, workspace_id: UUID, person: Person, threads: list[UUID], reason: str, now: datetime) -> dict[str, int]:
    """Everything but threads; returns what went. Each part finds nothing when it is done again."""
    gone = {
        "idempotency_records": _answers(workspace_id, person, threads),
        "exports": forget_exports(workspace_id=workspace_id),
        "access_rows": forgetting.forget_access(workspace_id=workspace_id, identities=person.identities),
        "log_entries": _log_entries(person, threads),
        "holds": _released_holds(workspace_id, person),
        "chat_sessions": _sessions(workspace_id, person, now),
    }
    if person.user_id is not None:
        gone |= _place(workspace_id, person.user_id, person)
    system = actors.system(workspace_id)
    gone["audit_events"] = forgetting.mask_person(
        actor=system, identities=person.identities, texts=person.texts, reason=reason
    )
    return gone


def account(*, workspace_id: UUID, person: Person, reason: str) -> str:
    """Their account, if nobody else has anything to do with it: `removed`, `emptied` where servers' keys stand on it,
    `kept` where they are of another workspace or of the installation's staff, `none`. Sees all workspaces."""
    if person.user_id is None:
        return "none"
    with scope.through(Door.MEMBERSHIP), transaction.atomic():
        user = User.objects.select_for_update().filter(pk=person.user_id).first()
        if user is None:
            return "removed"
        others = [
            model.objects.filter(user_id=user.pk).exclude(workspace_id=workspace_id)
            for model in (Membership, EndUser, ApiKey, Thread, ChatSession)
        ]
        if user.is_staff or user.is_superuser or any(rows.exists() for rows in others):
            return "kept"
        forgetting.mask_person(
            actor=audit.By("system"), identities=person.identities, texts=person.texts, reason=reason
        )
        if not ApiKey.objects.filter(user_id=user.pk).exists():
            user.delete()
            return "removed"
        user.username, user.password = f"erased-{user.pk.hex}", make_password(None)
        user.first_name = user.last_name = user.email = ""
        user.metadata, user.last_login = {}, None
        user.save()
        return "emptied"


def forget_exports(*, workspace_id: UUID) -> int:
    """Every export that was made of the workspace: any of them may hold what is erased."""
    names = list(Export.objects.filter(workspace_id=workspace_id).exclude(file="").values_list("file", flat=True))
    removed = Export.objects.filter(workspace_id=workspace_id).delete()[0]
    for name in names:
        transaction.on_commit(lambda name=name: default_storage.delete(name))  # type: ignore[misc]
    return removed


def files(*, workspace_id: UUID, threads: list[UUID]) -> int:
    """Files that a crash left: of attachments and exports, and bundles that nothing refers to. Returns how many.

    The chain's lock is ours meanwhile: no bundle of this workspace has its name and is not in the catalogue yet.
    """
    removed = 0
    for thread_id in threads:
        removed += _folder(f"{workspace_id}/{thread_id}")
    known = set(Export.objects.filter(workspace_id=workspace_id).values_list("file", flat=True))
    removed += _folder(f"{workspace_id}/exports", but=known)
    if _stray(workspace_id):
        adoption.adopt(workspace_id=workspace_id, now=candidates.database_now())
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(archive.CHAIN_LOCK, [str(workspace_id)])
        stray = _stray(workspace_id)
        for path in stray:
            vault.remove(path)
    return removed + len(stray)


def _stray(workspace_id: UUID) -> list[str]:
    """Bundles of the workspace that nothing needs."""
    rows = Bundle.objects.filter(workspace_id=workspace_id, removed_at__isnull=True)
    wanted = set(rows.values_list("path", flat=True))
    workspace = ids.encode(Workspace.PREFIX, workspace_id)
    return [path for path, _ in vault.every_path(workspace) if path not in wanted]


def _folder(folder: str, but: set[str] | None = None) -> int:
    try:
        _, names = default_storage.listdir(folder)
    except (FileNotFoundError, NotADirectoryError):
        return 0
    gone = [f"{folder}/{name}" for name in names if f"{folder}/{name}" not in (but or set())]
    for name in gone:
        default_storage.delete(name)
    return len(gone)


def _answers(workspace_id: UUID, person: Person, threads: list[UUID]) -> int:
    """Answers that are kept for requests that come again: theirs, and those that tell of their threads. They live for
    a day at most, so each is opened. (The room of the API lies above; its table is asked for by name.)"""
    records = apps.get_model("api", "IdempotencyRecord").objects.filter(workspace_id=workspace_id)
    wanted = {ids.encode(Thread.PREFIX, each) for each in threads}
    doomed = []
    for record in records.order_by("pk").iterator(chunk_size=ACTOR_CHUNK):
        if any(record.caller.startswith(identity) for identity in person.identities) or _tells(record, wanted, person):
            doomed.append(record.pk)
    return int(records.filter(pk__in=doomed).delete()[0])


def _tells(record: Any, threads: set[str], person: Person) -> bool:
    text = f"{record.location} {record.key} "
    if record.answer is not None:
        try:
            text += sealed.unseal(bytes(record.answer)).decode(errors="replace")
        except sealed.Unreadable:
            return True  # nobody can replay it either
    if any(each in text for each in person.texts if len(each) >= forgetting.CONTAINED_FROM):
        return True
    return not threads.isdisjoint(_words(text)) or (record.run_id is not None and not _run_lives(record))


def _words(text: str) -> set[str]:
    return set(text.replace("/", " ").replace('"', " ").replace(",", " ").split())


def _run_lives(record: Any) -> bool:
    rows = apps.get_model("threads", "Run").objects.filter(pk=record.run_id, workspace_id=record.workspace_id)
    return bool(rows.exists())


def _log_entries(person: Person, threads: list[UUID]) -> int:
    """What the console noted of things: their names stand in it."""
    things = [str(each) for each in (*threads, *person.sessions, *([person.user_id] if person.user_id else []))]
    named = Q(pk__in=[])
    for text in person.texts:
        if len(text) >= forgetting.CONTAINED_FROM:
            named |= Q(object_repr__contains=text) | Q(change_message__contains=text)
    rows = LogEntry.objects.filter(Q(object_id__in=things) | named).exclude(object_repr="erased")
    return rows.update(object_repr="erased", change_message="")


def _released_holds(workspace_id: UUID, person: Person) -> int:
    """A released hold stays as a record, without the reference."""
    changed = 0
    for reference in {reference for _, reference in person.visitors}:
        rows = Hold.objects.filter(workspace_id=workspace_id, external_ref=reference, released_at__isnull=False)
        changed += rows.update(external_ref=f"erased:{digest(workspace_id, 'hold', reference)[:16]}")
    return changed


def _sessions(workspace_id: UUID, person: Person, now: datetime) -> int:
    rows = ChatSession.objects.filter(workspace_id=workspace_id, pk__in=person.sessions)
    endings.end_all(rows, reason=ChatSession.EndReason.ENDED, now=now, by=actors.system(workspace_id))
    found = list(rows.values_list("pk", flat=True))
    Thread.objects.filter(workspace_id=workspace_id, chat_session_id__in=found).update(chat_session_id=None)
    return len(found) if rows._raw_delete(using="default") is not None else 0


def _place(workspace_id: UUID, user_id: UUID, person: Person) -> dict[str, int]:
    """Their place in the workspace, and what lets them in. Keys of servers stay: others live by them."""
    here: dict[str, Any] = {"workspace_id": workspace_id, "user_id": user_id}
    Invitation.objects.filter(workspace_id=workspace_id, invited_by_id=user_id).delete()
    Invitation.objects.filter(workspace_id=workspace_id, invitee__in=person.texts).delete()
    RefreshToken.objects.filter(**here).delete()
    return {
        "memberships": Membership.objects.filter(person.in_time, **here).delete()[0],
        "end_users": EndUser.objects.filter(person.in_time, **here).delete()[0],
        "keys": ApiKey.objects.filter(person.in_time, **here).exclude(kind=ApiKey.Kind.WORKSPACE).delete()[0],
    }
