"""What hot requests answer, made straight from rows: the same as the serializers beside this module say, which are the
shape that is documented, and what a test compares these with."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from itertools import repeat
from typing import Any
from uuid import UUID

import orjson
from django.utils import timezone

from chat_sessions.models import ChatSession
from threadhub.agents.models import Agent
from threadhub.api.rest.representations.messages import DocumentRepresentation
from threadhub.api.rest.representations.threads import ThreadWithMessages
from threadhub.api.rest.representations.usage import as_shown
from threadhub.lib import ids, json, remembered
from threadhub.workspaces.models import User
from threads import message_rows
from threads.actions.at_once import Appended
from threads.actions.messages import Draft
from threads.lifecycle import reading
from threads.lifecycle.expiry import Expiry, Outlook
from threads.message_rows import MessageRow
from threads.models import Attachment, Message, RetentionPolicy, Run, Thread
from threads.runs.events import PERSON
from threads.thread_rows import Page, ThreadRow
from threads.whole_rows import Whole

A_PAGE = 100  # messages whose files are looked for one by one
DOCUMENT = Message.Kind.DOCUMENT.value
Context = dict[str, Any]
NOTHING_AHEAD = Outlook(held=False, at=None, rule=None, action=None)  # where neither policy nor hold is in force
_spelled = remembered.results(4096)(ids.encode)  # ids that many threads have


def threads(found: Iterable[Thread]) -> list[dict[str, Any]]:
    """As ThreadRepresentation. Policies and holds are read once for each workspace."""
    known: dict[UUID, Expiry] = {}
    shown = []
    for each in found:
        if each.workspace_id not in known:
            known[each.workspace_id] = Expiry(workspace_id=each.workspace_id, now=timezone.now())
        shown.append(thread(each, known[each.workspace_id].of(each)))
    return shown


def threads_with_messages(found: Sequence[Thread], context: Context) -> list[dict[str, Any]]:
    """As ThreadWithMessages; those whose messages are in a bundle are rendered by it."""
    live = [thread for thread in found if not reading.is_bundled(thread)]
    rows, has_files = message_rows.of_threads(live)
    files = _files(thread_id__in=list(rows)) if has_files else {}
    shown = {thread["id"]: thread for thread in threads(live)}
    for thread in live:
        told = {"thread_wire_id": thread.wire_id, **context}
        shown[thread.wire_id]["messages"] = [_message(row, files.get(row.id, []), told) for row in rows[thread.id]]
    for thread in found:
        if thread.wire_id not in shown:
            shown[thread.wire_id] = dict(ThreadWithMessages(thread, context=dict(context)).data)
    return [shown[thread.wire_id] for thread in found]


def page(found: Page, *, now: datetime) -> list[dict[str, Any]]:
    """As `threads`, of rows of one workspace with what is in force there."""
    return [thread(row, outlook) for row, outlook in zip(found.rows, _outlooks(found.rows, found, now), strict=True)]


def messages(found: Whole, rows: Sequence[MessageRow], context: Context) -> list[dict[str, Any]]:
    """As MessageRepresentation, of some messages of a thread."""
    few = {"message_id__in": [row.id for row in rows]} if len(rows) <= A_PAGE else {"thread_id": found.thread.id}
    files = _files(**few) if found.files else {}
    told = {"thread_wire_id": found.thread.wire_id, **context}
    return [_message(row, files.get(row.id, []) if files else [], told) for row in rows]


def appended(sent: Draft, stored: Appended, context: Context) -> dict[str, Any]:
    """As MessageRepresentation, of a message of text that was just written."""
    at = json.timestamp(stored.at)
    row = MessageRow(
        id=stored.id,
        thread_id=stored.thread_id,
        position=stored.position,
        role=sent.role,
        kind=Message.Kind.TEXT.value,
        content=sent.content,
        title=sent.title,
        name=sent.name,
        tool_calls=None,
        tool_call_id=None,
        tool_result=None,
        extra="{}",
        run_id=None,
        partial=False,
        usage=None,
        author="",
        created_at=at,
        updated_at=at,
    )
    return _message(row, [], {"thread_wire_id": ids.encode(Thread.PREFIX, stored.thread_id), **context})


def outlook_of(found: Whole, *, now: datetime) -> Outlook:
    """What is to become of it."""
    return next(iter(_outlooks([found.thread], found, now)))


def _outlooks(rows: Sequence[ThreadRow], beside: Page | Whole, now: datetime) -> Iterator[Outlook]:
    if beside.in_force is None:
        return repeat(NOTHING_AHEAD, len(rows))
    expiry = Expiry(workspace_id=rows[0].workspace_id, now=now, known=beside.in_force)
    return (expiry.of(row) for row in rows)


def thread(thread: Thread | ThreadRow, outlook: Outlook) -> dict[str, Any]:
    """As ThreadRepresentation, of one of which is known what is to become of it."""
    rule, user_id, session_id, active_at = outlook.rule, thread.user_id, thread.chat_session_id, thread.last_activity_at
    return {
        "id": ids.encode(Thread.PREFIX, thread.pk),
        "agent_id": _spelled(Agent.PREFIX, thread.agent_id),
        "user_id": user_id and _spelled(User.PREFIX, user_id),
        "external_ref": thread.external_ref,
        "title": thread.title,
        "created_at": json.timestamp(thread.created_at),
        "updated_at": json.timestamp(thread.updated_at),
        "metadata": thread.metadata,
        "state": thread.state,
        "origin": thread.origin,
        "chat_session_id": session_id and ids.encode(ChatSession.PREFIX, session_id),
        "messages_count": thread.message_count,
        "last_activity_at": active_at and json.timestamp(active_at),
        "handled_by": "person" if thread.taken_over_at is not None else "agent",
        "branch": thread.branch,
        "expires_at": outlook.at and json.timestamp(outlook.at),
        "policy": rule
        and {
            "id": ids.encode(RetentionPolicy.PREFIX, rule.id),
            "name": rule.name,
            "scope": rule.level,
            "action": rule.action,
            "days": rule.days,
        },
        "held": outlook.held,
    }


def _message(row: MessageRow, files: list[Attachment], context: Context) -> dict[str, Any]:
    message = {
        "id": ids.encode(Message.PREFIX, row.id),
        "thread_id": context["thread_wire_id"],
        "role": row.role,
        "message_type": row.kind if row.kind != DOCUMENT else _kind_of(files),
        "content": row.content,
        "title": row.title,
        "tool_calls": row.tool_calls and [_call(each) for each in orjson.loads(row.tool_calls)],
        "tool_call_id": row.tool_call_id,
        "tool_result": row.tool_result and orjson.loads(row.tool_result),
        "created_at": row.created_at,
        "updated_at": row.updated_at,
        "position": row.position,
        "name": row.name,
        "documents": DocumentRepresentation(files, many=True, context=context).data if files else [],
        "partial": row.partial,
        "author": PERSON if row.author else None,
        "run_id": row.run_id and ids.encode(Run.PREFIX, row.run_id),
        "usage": row.usage and as_shown(orjson.loads(row.usage), context),
        "extra": {} if row.extra == "{}" else orjson.loads(row.extra),
    }
    versions = context.get("versions")
    if versions is not None:
        message["branches"] = versions.get(row.position, [])
    return message


def _call(call: dict[str, Any]) -> dict[str, Any]:
    return {"id": call["id"], "function": call["name"], "name": call["name"], "arguments": call["arguments"]}


def _kind_of(files: list[Attachment]) -> str:
    return "pdf" if {each.content_type for each in files} <= {"application/pdf"} else "document"


def _files(**where: Any) -> dict[UUID, list[Attachment]]:
    """By message."""
    files: dict[UUID, list[Attachment]] = {}
    for each in Attachment.objects.filter(**where).order_by("message", "id"):
        files.setdefault(each.message_id, []).append(each)
    return files
