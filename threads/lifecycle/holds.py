"""Legal holds: placed, released, looked up. What they forbid is asked here by the domain, and refused again by the
database's triggers (migration 0009)."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import connection, transaction
from django.db.models import BooleanField, Func, QuerySet

from threadhub import audit
from threadhub.lib.errors import Held, Invalid, NotFound
from threadhub.workspaces.actor import Actor
from threadhub.workspaces.permissions import Permission
from threads.lifecycle.models import Hold

MAX_REASON = 2_000


class HoldNotFound(NotFound):
    """Hold not found."""

    code = "hold_not_found"


class ThreadHeld(Held):
    """This thread is on legal hold and cannot be removed."""

    code = "thread_held"


class HoldInvalid(Invalid):
    """A hold is on the workspace, or on one agent, user, external_ref or thread of it."""

    code = "hold_invalid"


def visible(*, actor: Actor) -> QuerySet[Hold]:
    """The workspace's holds, released ones included, newest first."""
    return Hold.objects.filter(workspace_id=actor.workspace_id).order_by("-created_at", "-id")


def get(*, actor: Actor, hold_id: UUID) -> Hold:
    """A hold of the workspace. Raises HoldNotFound."""
    hold = visible(actor=actor).filter(pk=hold_id).first()
    if hold is None:
        raise HoldNotFound
    return hold


@transaction.atomic
def place(
    *,
    actor: Actor,
    scope: str,
    reason: str,
    now: datetime,
    target_id: UUID | None = None,
    external_ref: str | None = None,
) -> Hold:
    """Keep what the hold covers from every loss, from the moment this commits: whatever was being removed just then is
    waited for, whatever comes later is refused. Raises HoldInvalid, PermissionMissing."""
    actor.require(Permission.HOLD_WRITE)
    if not reason.strip():
        raise Invalid.at("body", "reason", msg="A hold needs a reason.")
    check_target(workspace_id=actor.workspace_id, scope=scope, target_id=target_id, external_ref=external_ref)
    _lock(actor.workspace_id, shared=False)
    hold = Hold.objects.create(
        workspace_id=actor.workspace_id,
        scope=scope,
        target_id=target_id,
        external_ref=external_ref,
        reason=reason,
        placed_by=actor.identity,
        placed_at=now,
        created_at=now,
    )
    audit.record(actor=actor, action="hold.place", ids=[hold.wire_id], details={"scope": scope})
    return hold


@transaction.atomic
def release(*, actor: Actor, hold: Hold, now: datetime, reason: str = "") -> Hold:
    """End a hold; released twice it stays as it was. What it covered is from then on as if it had never been held."""
    actor.require(Permission.HOLD_WRITE)
    in_force = Hold.objects.filter(pk=hold.pk, workspace_id=actor.workspace_id, released_at__isnull=True)
    if in_force.update(released_at=now, released_by=actor.identity, release_reason=reason.strip()):
        audit.record(actor=actor, action="hold.release", ids=[hold.wire_id], details={"scope": hold.scope})
    hold.refresh_from_db()
    return hold


def watch(workspace_id: UUID) -> None:
    """Before looking for holds in order to remove something: no hold is placed until this transaction ends."""
    _lock(workspace_id, shared=True)


def check(*, thread: Any) -> None:
    """Raise ThreadHeld where a hold covers the thread. Inside the transaction that is to remove something of it."""
    watch(thread.workspace_id)
    if covers(thread=thread):
        raise ThreadHeld


def covers(*, thread: Any) -> bool:
    """Whether a hold covers the thread."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT threads_covered_by_hold(%s, %s, %s, %s, %s)",
            [thread.workspace_id, thread.id, thread.agent_id, thread.user_id, thread.external_ref],
        )
        return bool(cursor.fetchone()[0])


class Covered(Func):
    """Whether a hold covers a thread, for querysets of threads."""

    function = "threads_covered_by_hold"
    output_field = BooleanField()

    def __init__(self, **extra: Any) -> None:
        super().__init__("workspace_id", "id", "agent_id", "user_id", "external_ref", **extra)


class Cover:
    """The holds in force of one workspace, as (scope, target, reference), for answering about many threads."""

    def __init__(self, rows: Sequence[tuple[str, UUID | None, str | None]]) -> None:
        self.everything = any(scope == Hold.Scope.WORKSPACE for scope, _, _ in rows)
        self.targets = {(scope, target) for scope, target, _ in rows if target is not None}
        self.references = {reference for _, _, reference in rows if reference is not None}

    def covers(self, thread: Any) -> bool:
        return (
            self.everything
            or ("thread", thread.id) in self.targets
            or ("agent", thread.agent_id) in self.targets
            or (thread.user_id is not None and ("user", thread.user_id) in self.targets)
            or (thread.external_ref is not None and thread.external_ref in self.references)
        )


def _lock(workspace_id: UUID, *, shared: bool) -> None:
    function = "pg_advisory_xact_lock_shared" if shared else "pg_advisory_xact_lock"
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {function}(hashtextextended('hold:' || %s::text, 0))", [str(workspace_id)])


def check_target(*, workspace_id: UUID, scope: str, target_id: UUID | None, external_ref: str | None) -> None:
    """Raise HoldInvalid where a hold has nothing of the workspace to be on."""
    from threadhub.agents.models import Agent
    from threadhub.workspaces.models import Membership
    from threads.models import Thread

    of_workspace = {"workspace_id": workspace_id}
    right = False
    if scope == Hold.Scope.WORKSPACE:
        right = target_id is None and external_ref is None
    elif scope == Hold.Scope.EXTERNAL_REF:
        right = target_id is None and external_ref is not None
    elif target_id is not None and external_ref is None:
        if scope == Hold.Scope.AGENT:
            right = Agent.objects.filter(pk=target_id, **of_workspace).exists()
        elif scope == Hold.Scope.USER:
            # A person who has left may still have threads here.
            there = Membership.objects.filter(user_id=target_id, **of_workspace).exists()
            right = there or Thread.objects.filter(user_id=target_id, **of_workspace).exists()
        elif scope == Hold.Scope.THREAD:
            threads = Thread.objects.filter(pk=target_id, **of_workspace)
            right = threads.exclude(state=Thread.State.TEMPORARY).exists()
    if not right:
        raise HoldInvalid
