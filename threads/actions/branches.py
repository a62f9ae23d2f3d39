"""Turning to another branch of a thread."""

from datetime import datetime

from django.db import transaction

from threadhub import audit
from threadhub.workspaces.actor import Actor
from threadhub.workspaces.permissions import Permission
from threads import access, branches
from threads.models import Thread
from threads.runs.start import make_idle


@transaction.atomic
def activate(*, actor: Actor, thread: Thread, number: int, now: datetime, interrupting: bool = False) -> Thread:
    """Let a branch of the thread be the active one: what everybody reads, and what the next question goes on from.

    `interrupting` cancels what is being answered on the branch that is left. Raises BranchNotFound, ThreadRunning,
    ThreadArchived, PermissionMissing.
    """
    actor.require(Permission.THREAD_WRITE)
    if interrupting:
        actor.require(Permission.AGENT_INVOKE)
    locked = access.lock(thread=thread)
    branches.get(thread=locked, number=number)
    if number == locked.branch:
        return locked
    make_idle(actor=actor, thread=locked, interrupting=interrupting, now=now)
    locked = access.lock(thread=locked)  # what was said of an interrupted answer has taken a position
    branches.activate(thread=locked, branch=branches.get(thread=locked, number=number), now=now)
    audit.record(actor=actor, action="branch.activate", ids=[locked.wire_id], details={"branch": number})
    return locked
