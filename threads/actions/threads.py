"""What can be done to a thread: made, found or made, changed, deleted."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import connection, transaction

from threadhub import audit
from threadhub.agents import access as agents
from threadhub.workspaces import external_refs
from threadhub.workspaces.actor import Actor
from threadhub.workspaces.permissions import Permission
from threads import access, sql
from threads.lifecycle import acts
from threads.models import Run, Thread


@dataclass(frozen=True, slots=True)
class Upserted:
    """The thread of a reference, and whether this call made it."""

    thread: Thread
    created: bool


@transaction.atomic
def create(
    *,
    actor: Actor,
    agent_id: UUID,
    now: datetime,
    title: str | None = None,
    external_ref: str | None = None,
    metadata: dict[str, Any] | None = None,
) -> Thread:
    """A new, empty thread with an agent. Raises AgentNotFound, AgentDisabled, PermissionMissing.

    A visitor's thread carries the session's reference whatever was asked, so that the visitor can find it again.
    """
    actor.require(Permission.THREAD_WRITE)
    if actor.kind != "session":
        external_refs.check(actor=actor, external_ref=external_ref)
    thread = make(
        actor=actor, agent_id=agent_id, now=now, title=title, external_ref=external_ref, metadata=metadata or {}
    )
    audit.record(actor=actor, action="thread.create", ids=[thread.wire_id])
    return thread


def make(*, actor: Actor, agent_id: UUID, now: datetime, external_ref: str | None = None, **fields: Any) -> Thread:
    """As `create`, for callers that asked for leave themselves."""
    agent = agents.get_to_invoke(actor=actor, agent_id=agent_id)
    visitor = actor.kind == "session"
    return Thread.objects.create(
        workspace_id=actor.workspace_id,
        agent=agent,
        user_id=actor.user_id,
        chat_session_id=actor.session_id,
        external_ref=actor.external_ref if visitor else external_ref,
        origin=Thread.Origin.CHAT_SESSION if visitor else Thread.Origin.DIRECT,
        created_at=now,
        updated_at=now,
        **{"title_source": _source_of(fields.get("title")), **fields},
    )


def create_for_visitor(*, visitor: Actor, now: datetime) -> Thread:
    """A new thread of a chat session's visitor with the session's agent. Raises as `create`."""
    if visitor.agent_id is None:
        raise TypeError("not the actor of a chat session")
    return create(actor=visitor, agent_id=visitor.agent_id, now=now)


@transaction.atomic
def upsert_by_ref(*, actor: Actor, agent_id: UUID, external_ref: str, now: datetime, **fields: Any) -> Upserted:
    """The newest visible thread of (agent, external_ref), made if there is none. Two calls at once make one thread:
    an advisory lock on the reference lets the second wait for the first."""
    agents.get_to_invoke(actor=actor, agent_id=agent_id)
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [f"by-ref:{agent_id}:{external_ref}"])
    found = (
        access.visible(actor=actor)
        .with_agent(agent_id)
        .with_external_ref(external_ref)
        .order_by("-created_at", "-id")
        .first()
    )
    if found is not None:
        return Upserted(found, created=False)
    thread = create(actor=actor, agent_id=agent_id, external_ref=external_ref, now=now, **fields)
    return Upserted(thread, created=True)


@transaction.atomic
def change(*, actor: Actor, thread: Thread, now: datetime, **fields: Any) -> Thread:
    """Set `title` (a person's: it stays) and/or `metadata` (replaced as a whole). Does not count as activity."""
    actor.require(Permission.THREAD_WRITE)
    unknown = set(fields) - {"title", "metadata"}
    if unknown:
        raise TypeError(f"no such field of a thread: {', '.join(sorted(unknown))}")
    locked = access.lock(thread=thread)
    for name, value in fields.items():
        setattr(locked, name, value)
    if "title" in fields:
        locked.title_source = _source_of(fields["title"])
    locked.updated_at = now
    locked.save(update_fields=[*fields, "title_source", "updated_at"])
    audit.record(actor=actor, action="thread.update", ids=[thread.wire_id], details={"fields": sorted(fields)})
    return locked


def _source_of(title: str | None) -> str | None:
    """Whose a title is that is set here. Without one the agent may name the thread (again); an empty one is a title."""
    return None if title is None else Thread.TitleSource.PERSON


@transaction.atomic
def delete(*, actor: Actor, thread: Thread, now: datetime) -> None:
    """Into the workspace's trash, or, where it has none, gone for good with its messages, runs, summaries and files.
    A live run of it finds nothing to write to and ends. Raises ThreadNotFound, ThreadHeld, PermissionMissing."""
    actor.require(Permission.THREAD_DELETE)
    for run_id in Run.objects.of_thread(thread).live().values_list("pk", flat=True):
        sql.notify("run_events", str(run_id))  # its readers must hear that there is nothing more to come
    ended = acts.delete(actor=actor, thread=thread, now=now)
    if thread.state != Thread.State.TEMPORARY:
        details = {"messages": thread.message_count, "to": ended}
        audit.record(actor=actor, action="thread.delete", ids=[thread.wire_id], details=details)
