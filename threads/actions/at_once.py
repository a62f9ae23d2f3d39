"""The writes that are asked most, each as one statement that commits by itself: leave, positions, rows and the event of
the audit trail. What it cannot say, and whatever is to be refused, it leaves to messages.append and threads.create,
which do the same and say why not; a test compares what both leave in the tables.
"""

from datetime import datetime
from functools import lru_cache
from typing import Any, NamedTuple
from uuid import UUID

from django.db import connection

from threadhub import audit
from threadhub.lib import ids, json, sensitive
from threadhub.workspaces.actor import Actor
from threadhub.workspaces.permissions import Permission
from threads import thread_rows
from threads.actions.messages import Draft
from threads.lifecycle.in_force import Question
from threads.models import Message, Thread
from threads.thread_rows import Page, ThreadRow, Wanted

# The row lock of the UPDATE is what makes positions gap-free, as in sql.TAKE_POSITIONS; it stays a HOT update.
APPEND = """
WITH taken AS (
    UPDATE threads_thread AS thread
       SET last_position = last_position + 1, message_count = message_count + 1,
           last_activity_at = statement_timestamp(), updated_at = statement_timestamp()
     WHERE {where}
 RETURNING thread.id, thread.workspace_id, last_position, last_activity_at AS at
), said AS (
    INSERT INTO threads_message (id, workspace_id, thread_id, position, role, kind, content, title, name, extra,
                                 partial, created_at, updated_at)
    SELECT %(message)s, workspace_id, id, last_position, %(role)s, %(kind)s, %(content)s, %(title)s, %(name)s, '{{}}',
           false, at, at
      FROM taken
), told AS ({told})
SELECT last_position, at FROM taken
"""
# The agent's row is only read, as by the plain way; the thread's reference to it sees to it that it stays.
CREATE = """
WITH made AS (
    INSERT INTO threads_thread (id, workspace_id, agent_id, user_id, external_ref, title, title_source, metadata, state,
                                origin, message_count, last_position, created_at, updated_at)
    SELECT %(thread)s, workspace_id, id, %(user)s, %(external_ref)s, %(title)s, %(title_source)s, %(metadata)s::jsonb,
           %(state)s, %(origin)s, 0, 0, %(now)s, %(now)s
      FROM agents_agent AS agent
     WHERE agent.id = %(agent)s AND agent.workspace_id = %(workspace)s AND agent.active{may}
 RETURNING workspace_id
), told AS ({told})
SELECT {in_force} FROM made
"""


class Appended(NamedTuple):
    """A message that stands at a position now."""

    id: UUID
    thread_id: UUID
    position: int
    at: datetime


def append(*, actor: Actor, thread_id: UUID, agent_id: UUID | None, draft: Draft) -> Appended | None:
    """Append one message of text to a thread that the actor may see. None: nothing was done, ask messages.append."""
    plain = Draft(role=draft.role, content=draft.content, title=draft.title, name=draft.name, id=draft.id)
    told = thread_rows.conditions(Wanted(actor, agent_id=agent_id, state="active"))
    if told is None or draft != plain or not actor.may(Permission.MESSAGE_APPEND):
        return None
    names, values = told
    written = [ids.encode(Thread.PREFIX, thread_id), ids.encode(Message.PREFIX, draft.id)]
    values |= audit.values(actor=actor, action="message.append", ids=written)
    values |= {
        "thread": thread_id,
        "message": draft.id,
        "role": draft.role,
        "kind": str(draft.kind),
        "content": draft.content,
        "title": draft.title,
        "name": draft.name,
    }
    with connection.prepared_cursor() as cursor:  # type: ignore[attr-defined]  # isolation/backend
        cursor.execute(_append_sql((*names, "one")), values)
        row = cursor.fetchone()
    return None if row is None else Appended(draft.id, thread_id, *row)


def create(
    *,
    actor: Actor,
    agent_id: UUID,
    now: datetime,
    title: str | None = None,
    external_ref: str | None = None,
    metadata: dict[str, Any] | None = None,
) -> Page | None:
    """A new thread with an agent, as a page of one. None: nothing was done, ask threads.create."""
    told = thread_rows.conditions(Wanted(actor, agent_id=agent_id))
    may = actor.may(Permission.THREAD_WRITE) and actor.may(Permission.AGENT_INVOKE)
    if told is None or not may or actor.kind == "session" or (external_ref and sensitive.kind_of(external_ref)):
        return None
    names, values = told
    asked = Question(actor.workspace_id, now)
    made = _new_row(actor, agent_id, now, title, external_ref, metadata)
    values |= audit.values(actor=actor, action="thread.create", ids=[made.wire_id])
    values |= {
        "thread": made.id,
        "user": made.user_id,
        "external_ref": made.external_ref,
        "title": made.title,
        "title_source": None if title is None else Thread.TitleSource.PERSON.value,
        "metadata": made.metadata_text,
        "state": made.state,
        "origin": made.origin,
        **asked.values,
    }
    with connection.prepared_cursor() as cursor:  # type: ignore[attr-defined]
        cursor.execute(_create_sql("open" in names, asked.sql), values)
        row = cursor.fetchone()
    return None if row is None else Page([made], 1, asked.answer(row[0]))


def _new_row(
    actor: Actor,
    agent_id: UUID,
    now: datetime,
    title: str | None,
    external_ref: str | None,
    metadata: dict[str, Any] | None,
) -> ThreadRow:
    return ThreadRow(
        id=ids.new(),
        workspace_id=actor.workspace_id,
        agent_id=agent_id,
        user_id=actor.user_id,
        chat_session_id=None,
        external_ref=external_ref,
        title=title,
        metadata_text=json.dumps(metadata or {}).decode(),
        state=Thread.State.ACTIVE.value,
        origin=Thread.Origin.DIRECT.value,
        branch=1,
        message_count=0,
        created_at=now,
        updated_at=now,
        last_activity_at=None,
        pinned=False,
        exempt_until=None,
        archived_at=None,
        trashed_at=None,
        purge_after=None,
        taken_over_at=None,
    )


@lru_cache(maxsize=64)
def _append_sql(names: tuple[str, ...]) -> str:
    details = "jsonb_build_object('count', 1, 'first_position', last_position)"
    return APPEND.format(where=thread_rows.where(names), told=audit.part(source="taken", details=details))


@lru_cache(maxsize=4)
def _create_sql(limited: bool, in_force: str) -> str:
    return CREATE.format(
        may=f" AND agent.id <> ALL ({thread_rows.CLOSED})" if limited else "",
        told=audit.part(source="made", details="'{}'::jsonb"),
        in_force=in_force,
    )
