"""Who is to be erased: from what somebody named (a user, an end user, a reference, a chat session) to all that is
theirs here.

A session stands for its visitor: whoever comes with its reference to its agent. A user's sessions are theirs, and what
those reach.
"""

import json
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, assert_never
from uuid import UUID

from django.db.models import Q, QuerySet

from chat_sessions.models import ChatSession
from threadhub.lib import keyed, sealed
from threadhub.lib.errors import NotFound
from threadhub.workspaces.models import ApiKey, EndUser, Membership, User
from threads.models import Message, Note, Thread

Kind = Literal["user", "end_user", "external_ref", "session"]
KINDS: tuple[Kind, ...] = ("user", "end_user", "external_ref", "session")


class PersonNotFound(NotFound):
    """Nobody of that name has anything here."""

    code = "person_not_found"


@dataclass(frozen=True, slots=True)
class Person:
    """All by which somebody is known in a workspace. `visitors`: (agent or None for any, reference); `keys`: theirs
    alone; `texts`: what would name them, looked for in free text; `serves`: they own keys of servers too."""

    subject: Kind
    user_id: UUID | None = None
    end_user: bool = False
    sessions: tuple[UUID, ...] = ()
    visitors: tuple[tuple[UUID | None, str], ...] = ()
    keys: tuple[UUID, ...] = ()
    texts: tuple[str, ...] = ()
    serves: bool = False
    threads_by_id: tuple[UUID, ...] = ()
    until: datetime | None = None  # what came later is not meant: of an erasure that is replayed

    @property
    def identities(self) -> list[str]:
        """As Actor.identity spells them."""
        own = [f"user:{self.user_id}"] if self.user_id else []
        return own + [f"session:{each}" for each in self.sessions] + [f"key:{each}" for each in self.keys]

    @property
    def threads(self) -> Q:
        """The condition of a thread that is theirs."""
        theirs = Q(pk__in=self.threads_by_id)
        if self.user_id is not None:
            theirs |= Q(user_id=self.user_id)
        if self.sessions:
            theirs |= Q(chat_session_id__in=self.sessions)
        for agent_id, reference in self.visitors:
            theirs |= Q(external_ref=reference) if agent_id is None else Q(external_ref=reference, agent_id=agent_id)
        return theirs & self.in_time

    @property
    def in_time(self) -> Q:
        """The condition that a row is not from after `until`."""
        return Q() if self.until is None else Q(created_at__lte=self.until)

    def digests(self, workspace_id: UUID) -> list[str]:
        """Keyed hashes of all of it, for the ledger."""
        pairs = [("user", str(self.user_id))] if self.user_id else []
        pairs += [("session", str(each)) for each in self.sessions]
        pairs += [("visitor", f"{agent_id or '*'}:{reference}") for agent_id, reference in self.visitors]
        return sorted(digest(workspace_id, kind, value) for kind, value in pairs)

    def seal(self) -> bytes:
        """As it is kept until the erasure is done."""
        return sealed.seal(
            json.dumps(
                {
                    "subject": self.subject,
                    "user": str(self.user_id) if self.user_id else None,
                    "end_user": self.end_user,
                    "sessions": [str(each) for each in self.sessions],
                    "visitors": [[str(agent) if agent else None, reference] for agent, reference in self.visitors],
                    "keys": [str(each) for each in self.keys],
                    "texts": list(self.texts),
                    "serves": self.serves,
                    "threads": [str(each) for each in self.threads_by_id],
                    "until": self.until.isoformat() if self.until else None,
                }
            ).encode()
        )


def unseal(kept: bytes) -> Person:
    """Whom an unfinished erasure is about."""
    read = json.loads(sealed.unseal(kept))
    return Person(
        subject=read["subject"],
        user_id=UUID(read["user"]) if read["user"] else None,
        end_user=read["end_user"],
        sessions=tuple(UUID(each) for each in read["sessions"]),
        visitors=tuple((UUID(agent) if agent else None, reference) for agent, reference in read["visitors"]),
        keys=tuple(UUID(each) for each in read["keys"]),
        texts=tuple(read["texts"]),
        serves=read["serves"],
        threads_by_id=tuple(UUID(each) for each in read["threads"]),
        until=datetime.fromisoformat(read["until"]) if read["until"] else None,
    )


def digest(workspace_id: UUID, kind: str, value: str) -> str:
    """A value as the ledger keeps it: nobody without this installation's key can tell what it was."""
    return keyed.digest("erasure ledger", f"{workspace_id}:{kind}:{value}").hex()


def known_as(workspace_id: UUID, kind: str, value: str) -> set[str]:
    """A value as the ledger may have it: entries are older than the present SECRET_KEY, too."""
    return {each.hex() for each in keyed.digests("erasure ledger", f"{workspace_id}:{kind}:{value}")}


def digests_of_thread(thread: Any) -> set[str]:
    """Under which hashes an erased person's thread would be known."""
    workspace_id = thread.workspace_id
    found = set()
    if thread.user_id is not None:
        found |= known_as(workspace_id, "user", str(thread.user_id))
    if thread.chat_session_id is not None:
        found |= known_as(workspace_id, "session", str(thread.chat_session_id))
    if thread.external_ref is not None:
        for agent in ("*", thread.agent_id):
            found |= known_as(workspace_id, "visitor", f"{agent}:{thread.external_ref}")
    return found


def find(*, workspace_id: UUID, kind: Kind, value: str | UUID) -> Person:
    """The person behind a user's id, an end user's reference, a reference or a session's id. Raises PersonNotFound."""
    match kind:
        case "user":
            return _user(workspace_id, UUID(str(value)), kind)
        case "end_user":
            row = EndUser.objects.filter(workspace_id=workspace_id, reference=str(value)).first()
            if row is None:
                raise PersonNotFound
            return _user(workspace_id, row.user_id, kind)
        case "external_ref":
            return _visitor(workspace_id, None, str(value), kind)
        case "session":
            session = ChatSession.objects.filter(workspace_id=workspace_id, pk=value).first()
            if session is None:
                raise PersonNotFound
            return _visitor(workspace_id, session.agent_id, session.external_ref, kind)
        case _:
            assert_never(kind)


def at_desk(*, workspace_id: UUID, person: Person) -> QuerySet[Thread]:
    """Threads that wait for them, or that they answer in the agent's place. Of an erasure that is replayed none, where
    they have come back as a member since."""
    rows = Thread.objects.filter(workspace_id=workspace_id)
    if person.user_id is None:
        return rows.none()
    members = Membership.objects.filter(workspace_id=workspace_id, user_id=person.user_id)
    if person.until and members.filter(created_at__gt=person.until).exists():
        return rows.none()
    taken_over = Q(taken_over_at__isnull=False, taken_over_by_id=person.user_id)
    return rows.filter(Q(assignee_id=person.user_id) | taken_over)


def signed(*, workspace_id: UUID, until: datetime | None = None) -> Iterator[UUID]:
    """Users who answered in an agent's place, or noted something, or for whom something waits."""
    times = {} if until is None else {"created_at__lte": until}
    here: dict[str, Any] = {"workspace_id": workspace_id, **times}
    authors = Message.objects.exclude(author="").filter(**here).order_by().values_list("author", flat=True).distinct()
    noted = Note.objects.filter(**here).order_by().values_list("author", flat=True).distinct()
    for author in {*authors, *noted}:
        kind, _, rest = author.partition(":")
        with suppress(ValueError):
            if kind == "user":
                yield UUID(rest)
    threads = Thread.objects.filter(workspace_id=workspace_id).order_by()
    assigned = threads.filter(assignee_id__isnull=False).values_list("assignee_id", flat=True).distinct()
    taken_over = threads.filter(taken_over_at__isnull=False).values_list("taken_over_by_id", flat=True).distinct()
    yield from (each for each in {*assigned, *taken_over} if each is not None)


def _visitor(workspace_id: UUID, agent_id: UUID | None, reference: str, kind: Kind) -> Person:
    sessions = ChatSession.objects.filter(workspace_id=workspace_id, external_ref=reference)
    threads = Thread.objects.filter(workspace_id=workspace_id, external_ref=reference)
    if agent_id is not None:
        sessions, threads = sessions.filter(agent_id=agent_id), threads.filter(agent_id=agent_id)
    found = list(sessions.order_by("pk"))
    if not found and not threads.exists():
        raise PersonNotFound
    return Person(
        subject=kind,
        sessions=tuple(each.pk for each in found),
        visitors=((agent_id, reference),),
        texts=_texts(reference, *(each.name for each in found)),
    )


def _user(workspace_id: UUID, user_id: UUID, kind: Kind) -> Person:
    user = User.objects.filter(pk=user_id).first()
    references = list(
        EndUser.objects.filter(workspace_id=workspace_id, user_id=user_id).values_list("reference", flat=True)
    )
    known = (
        references
        or Membership.objects.filter(workspace_id=workspace_id, user_id=user_id).exists()
        or Thread.objects.filter(workspace_id=workspace_id, user_id=user_id).exists()
        or ChatSession.objects.filter(workspace_id=workspace_id, user_id=user_id).exists()
        or user_id in set(signed(workspace_id=workspace_id))  # of the staff, who left since
    )
    if user is None or not known:
        raise PersonNotFound
    sessions = list(ChatSession.objects.filter(workspace_id=workspace_id, user_id=user_id).order_by("pk"))
    keys = ApiKey.objects.filter(workspace_id=workspace_id, user_id=user_id).order_by("pk")
    visitors = sorted({(each.agent_id, each.external_ref) for each in sessions}, key=str)
    names = [user.username, user.email, f"{user.first_name} {user.last_name}".strip()]
    return Person(
        subject=kind,
        user_id=user_id,
        end_user=bool(references),
        sessions=tuple(each.pk for each in sessions),
        visitors=tuple(visitors),
        keys=tuple(keys.exclude(kind=ApiKey.Kind.WORKSPACE).values_list("pk", flat=True)),
        texts=_texts(*references, *names, *(each.external_ref for each in sessions), *(each.name for each in sessions)),
        serves=keys.filter(kind=ApiKey.Kind.WORKSPACE).exists(),
    )


def _texts(*values: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(value for value in values if value))
