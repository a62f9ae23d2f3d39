"""Deciding calls of tools that need an approval: given, refused, or refused by time."""

from datetime import datetime
from uuid import UUID

from django.db import transaction
from django.db.models import QuerySet

from threadhub import audit
from threadhub.agents.access import AgentDisabled
from threadhub.lib.errors import Conflict, NotFound
from threadhub.workspaces import actor as actors
from threadhub.workspaces.actor import Actor
from threadhub.workspaces.permissions import Permission
from threads import access
from threads.models import Run, Thread, ToolApproval
from threads.runs import continuing

SWEEP = 500  # approvals that expire per sweep; the next sweep comes in seconds


class ApprovalNotFound(NotFound):
    """Approval not found."""

    code = "approval_not_found"


class ApprovalDecided(Conflict):
    """This approval is decided already, or there is nothing to decide any more."""

    code = "approval_decided"


def visible(*, actor: Actor) -> QuerySet[ToolApproval]:
    """The approvals asked for in threads that the actor may see, newest first."""
    approvals = ToolApproval.objects.filter(workspace_id=actor.workspace_id)
    return approvals.filter(thread__in=access.visible(actor=actor)).select_related("run")


def get(*, actor: Actor, approval_id: UUID) -> ToolApproval:
    """One approval. Raises ApprovalNotFound for absent and foreign alike."""
    approval = visible(actor=actor).filter(pk=approval_id).first()
    if approval is None:
        raise ApprovalNotFound
    return approval


def approve(*, actor: Actor, approval: ToolApproval, now: datetime) -> ToolApproval:
    """Let the call be made, once, with exactly its arguments. Raises ApprovalDecided, AgentDisabled, ThreadArchived,
    PermissionMissing; ApprovalNotFound where its thread went meanwhile."""
    return _decide(actor, approval, ToolApproval.Status.APPROVED, "", now)


def refuse(*, actor: Actor, approval: ToolApproval, now: datetime, reason: str = "") -> ToolApproval:
    """Have the model told that the call is refused, and why. Raises as `approve`."""
    return _decide(actor, approval, ToolApproval.Status.REFUSED, reason, now)


def expire_due(*, now: datetime) -> int:
    """Refuse what nobody decided in time, each in its own transaction; returns how many were looked at."""
    due = ToolApproval.objects.filter(status=ToolApproval.Status.PENDING, expires_at__lte=now)
    rows = list(due.order_by("expires_at", "id")[:SWEEP])
    for approval in rows:
        _expire(approval, now)
    return len(rows)


@transaction.atomic
def _decide(actor: Actor, approval: ToolApproval, status: str, reason: str, now: datetime) -> ToolApproval:
    actor.require(Permission.TOOL_APPROVE)
    try:
        thread = access.lock(thread=approval.thread)
    except (access.ThreadNotFound, Thread.DoesNotExist):
        raise ApprovalNotFound from None
    run, locked = _lock(approval)
    if locked.status != ToolApproval.Status.PENDING or locked.expires_at <= now:
        raise ApprovalDecided
    if not thread.agent.active:
        raise AgentDisabled
    locked.decided_by, locked.reason = actor.identity, reason
    _settle(run, thread, locked, status, now)
    _record(actor, locked)
    return locked


@transaction.atomic
def _expire(approval: ToolApproval, now: datetime) -> None:
    threads = Thread.objects.select_for_update(of=("self",)).select_related("agent")
    thread = threads.filter(pk=approval.thread_id, workspace_id=approval.workspace_id).first()
    if thread is None:
        return
    run, locked = _lock(approval)
    if locked.status != ToolApproval.Status.PENDING:
        return
    if thread.state == Thread.State.ACTIVE:
        _settle(run, thread, locked, ToolApproval.Status.EXPIRED, now)
        _record(actors.system(thread.workspace_id), locked)
        return
    locked.status, locked.decided_at = ToolApproval.Status.VOID, now  # nobody is asked in a thread that is put away
    locked.save(update_fields=["status", "decided_at"])


def _record(actor: Actor, decided: ToolApproval) -> None:
    """Who let what be called: the arguments by their digest only."""
    verb = {"approved": "approve", "refused": "refuse", "expired": "expire"}[decided.status]
    audit.record(
        actor=actor,
        action=f"tool_approval.{verb}",
        ids=[decided.wire_id, decided.run.wire_id],
        details={"tool": decided.tool_name, "arguments": bytes(decided.arguments_digest).hex()},
    )


def _lock(approval: ToolApproval) -> tuple[Run, ToolApproval]:
    """After the thread: the run, then the approval. Raises ApprovalNotFound."""
    run = Run.objects.select_for_update().filter(pk=approval.run_id, workspace_id=approval.workspace_id).first()
    locked = ToolApproval.objects.select_for_update().filter(pk=approval.pk).first()
    if run is None or locked is None:
        raise ApprovalNotFound
    return run, locked


def _settle(run: Run, thread: Thread, locked: ToolApproval, status: str, now: datetime) -> None:
    locked.status, locked.decided_at, locked.run = status, now, run
    locked.save(update_fields=["status", "decided_at", "decided_by", "reason"])
    if run.waiting:
        continuing.go_on_if_complete(run=run, thread=thread, now=now)
