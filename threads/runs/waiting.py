"""What a run that stops at `requires_action` waits for: outputs of the client's tools, approvals of our own.

It waits until all of it is there (then another run goes on, `continuing.py`), until it is cancelled, or until the
thread is asked again: a newer question is never held up by an open one.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.conf import settings

from threadhub.agents import calling
from threadhub.agents.events import ToolCall
from threadhub.agents.models import Tool
from threadhub.lib import json
from threads.models import Run, Thread, ToolApproval


@dataclass(frozen=True, slots=True)
class Awaited:
    """The calls of a run's last step that others have a part in."""

    outputs: Sequence[ToolCall]
    approvals: Sequence[tuple[ToolCall, Tool]]


def begin(run: Run, awaited: Awaited, *, now: datetime) -> dict[str, Any]:
    """Note on a locked run what it waits for, and ask for the approvals; the caller saves the run."""
    approvals = [_asked(run, call, tool, now) for call, tool in awaited.approvals]
    ToolApproval.objects.bulk_create(approvals)
    run.waiting = True
    run.required_action = {
        "tool_calls": [{"id": call.id, "name": call.name, "arguments": call.arguments} for call in awaited.outputs],
        "approvals": [
            {
                "id": approval.wire_id,
                "tool_call_id": call.id,
                "name": call.name,
                "arguments": call.arguments,
                "expires_at": json.timestamp(approval.expires_at),
            }
            for approval, (call, _) in zip(approvals, awaited.approvals, strict=True)
        ],
    }
    return run.required_action


def abandon(*, thread: Thread, now: datetime) -> list[Run]:
    """Nothing is waited for any more in a locked thread: what was not decided yet never will be. Returns who waited."""
    waited = list(Run.objects.of_thread(thread).filter(waiting=True).only("thread_id"))
    if waited:
        ids = [run.pk for run in waited]
        Run.objects.of_thread(thread).filter(pk__in=ids).update(waiting=False)
        void(workspace_id=thread.workspace_id, run_ids=ids, now=now)
    return waited


def void(*, workspace_id: UUID, run_ids: Sequence[UUID], now: datetime) -> None:
    """Calls that these runs asked approval for, and that were not made, never will be."""
    ToolApproval.objects.filter(
        workspace_id=workspace_id,
        run_id__in=run_ids,
        status__in=(ToolApproval.Status.PENDING, ToolApproval.Status.APPROVED),
        called_at__isnull=True,
    ).update(status=ToolApproval.Status.VOID, decided_at=now)


def digest(arguments: str) -> bytes:
    """SHA-256 of arguments as an approval keeps them."""
    return hashlib.sha256(arguments.encode()).digest()


def canonical(arguments: dict[str, Any]) -> str:
    """Arguments as an approval keeps them."""
    return json.dumps_sorted(arguments).decode()


def _asked(run: Run, call: ToolCall, tool: Tool, now: datetime) -> ToolApproval:
    arguments = canonical(call.arguments)
    return ToolApproval(
        workspace_id=run.workspace_id,
        thread_id=run.thread_id,
        run_id=run.id,
        tool_id=tool.pk,
        tool_name=tool.name,
        tool_digest=calling.digest_of(tool),
        tool_call_id=call.id,
        arguments=arguments,
        arguments_digest=digest(arguments),
        created_at=now,
        expires_at=now + timedelta(seconds=settings.APPROVAL_SECONDS),
    )
