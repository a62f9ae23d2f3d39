"""What hot requests answer, made straight from rows: the same as the serializers beside this module say, which are the
shape that is documented, and what a test compares these with."""

import json
from collections.abc import Iterable, Sequence
from typing import Any
from uuid import UUID

from django.utils import timezone

from chat_sessions.models import ChatSession
from threadhub.agents.models import Agent
from threadhub.api.rest.representations.messages import DocumentRepresentation
from threadhub.api.rest.representations.threads import ThreadWithMessages
from threadhub.api.rest.representations.usage import as_shown
from threadhub.lib import ids
from threadhub.workspaces.models import User
from threads import message_rows
from threads.lifecycle import reading
from threads.lifecycle.expiry import Expiry, Outlook
from threads.message_rows import MessageRow
from threads.models import Attachment, Message, RetentionPolicy, Run, Thread
from threads.runs.events import PERSON

Context = dict[str, Any]


def threads(found: Iterable[Thread]) -> list[dict[str, Any]]:
    """As ThreadRepresentation. Policies and holds are read once for each workspace."""
    known: dict[UUID, Expiry] = {}
    shown = []
    for thread in found:
        if thread.workspace_id not in known:
            known[thread.workspace_id] = Expiry(workspace_id=thread.workspace_id, now=timezone.now())
        shown.append(_thread(thread, known[thread.workspace_id].of(thread)))
    return shown


def threads_with_messages(found: Sequence[Thread], context: Context) -> list[dict[str, Any]]:
    """As ThreadWithMessages; those whose messages are in a bundle are rendered by it."""
    live = [thread for thread in found if not reading.is_bundled(thread)]
    rows = message_rows.of_threads(live)
    files = _files(rows)
    shown = {thread["id"]: thread for thread in threads(live)}
    for thread in live:
        told = {"thread_wire_id": thread.wire_id, **context}
        shown[thread.wire_id]["messages"] = [_message(row, files.get(row.id, []), told) for row in rows[thread.id]]
    for thread in found:
        if thread.wire_id not in shown:
            shown[thread.wire_id] = dict(ThreadWithMessages(thread, context=dict(context)).data)
    return [shown[thread.wire_id] for thread in found]


def _thread(thread: Thread, outlook: Outlook) -> dict[str, Any]:
    rule = outlook.rule
    return {
        "id": thread.wire_id,
        "agent_id": ids.encode(Agent.PREFIX, thread.agent_id),
        "user_id": _id(User.PREFIX, thread.user_id),
        "external_ref": thread.external_ref,
        "title": thread.title,
        "created_at": thread.created_at,
        "updated_at": thread.updated_at,
        "metadata": thread.metadata,
        "state": thread.state,
        "origin": thread.origin,
        "chat_session_id": _id(ChatSession.PREFIX, thread.chat_session_id),
        "messages_count": thread.message_count,
        "last_activity_at": thread.last_activity_at,
        "handled_by": "person" if thread.taken_over else "agent",
        "branch": thread.branch,
        "expires_at": outlook.at,
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
        "message_type": _type(row.kind, files),
        "content": row.content,
        "title": row.title,
        "tool_calls": row.tool_calls and [_call(each) for each in json.loads(row.tool_calls)],
        "tool_call_id": row.tool_call_id,
        "tool_result": row.tool_result and json.loads(row.tool_result),
        "created_at": row.created_at,
        "updated_at": row.updated_at,
        "position": row.position,
        "name": row.name,
        "documents": DocumentRepresentation(files, many=True, context=context).data if files else [],
        "partial": row.partial,
        "author": PERSON if row.author else None,
        "run_id": _id(Run.PREFIX, row.run_id),
        "usage": as_shown(json.loads(row.usage) if row.usage else None, context),
        "extra": {} if row.extra == "{}" else json.loads(row.extra),
    }
    versions = context.get("versions")
    if versions is not None:
        message["branches"] = versions.get(row.position, [])
    return message


def _call(call: dict[str, Any]) -> dict[str, Any]:
    return {"id": call["id"], "function": call["name"], "name": call["name"], "arguments": call["arguments"]}


def _type(kind: str, files: list[Attachment]) -> str:
    if kind != Message.Kind.DOCUMENT:
        return kind
    return "pdf" if {each.content_type for each in files} <= {"application/pdf"} else "document"


def _files(rows: dict[UUID, list[MessageRow]]) -> dict[UUID, list[Attachment]]:
    """By message; nothing is asked where no message has any."""
    files: dict[UUID, list[Attachment]] = {}
    if any(messages and messages[0].files for messages in rows.values()):
        for each in Attachment.objects.filter(thread_id__in=list(rows)).order_by("message", "id"):
            files.setdefault(each.message_id, []).append(each)
    return files


def _id(prefix: str, value: UUID | None) -> str | None:
    return None if value is None else ids.encode(prefix, value)
