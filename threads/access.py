"""The gates: threads, messages and runs are fetched for an actor, or not found."""

from uuid import UUID

from threadhub.lib.compiled import Compiled
from threadhub.lib.errors import Conflict, Invalid, NotFound
from threadhub.workspaces.actor import Actor, system
from threads.lifecycle import reading
from threads.models import Attachment, Message, Run, Thread
from threads.querysets.threads import ThreadQuerySet, sees_all


class ThreadNotFound(NotFound):
    """Thread not found."""

    code = "thread_not_found"


class MessageNotFound(NotFound):
    """Message not found."""

    code = "message_not_found"


class RunNotFound(NotFound):
    """Run not found."""

    code = "run_not_found"


class BranchNotFound(NotFound):
    """Branch not found."""

    code = "branch_not_found"


class AttachmentNotFound(NotFound):
    """Attachment not found."""

    code = "attachment_not_found"


class ThreadArchived(Conflict):
    """This thread is archived and read-only."""

    code = "thread_archived"


class ThreadRunning(Conflict):
    """Thread already has a running execution."""

    code = "thread_running"


class NothingAsked(Invalid):
    """There is no message to answer."""

    code = "nothing_asked"


def visible(*, actor: Actor) -> ThreadQuerySet:
    """Every thread the actor may see."""
    return Thread.objects.visible_to(actor)


def get(
    *, actor: Actor, thread_id: UUID, agent_id: UUID | None = None, with_agent: bool = True, locked: bool = False
) -> Thread:
    """One thread, of `agent_id` where the path names an agent. Raises ThreadNotFound for absent and foreign alike.
    `with_agent`: whether its agent is read beside it; `locked`: whether nobody else writes it until the transaction
    ends; an archived one is not refused."""
    if locked and not with_agent and agent_id is None:
        found = _locked(actor, thread_id)
    else:
        threads = visible(actor=actor).filter(pk=thread_id)
        if locked:
            threads = threads.select_for_update(of=("self",))
        if agent_id is not None:
            threads = threads.with_agent(agent_id)
        if with_agent:
            threads = threads.select_related("agent")
        found = list(threads.order_by())
    if not found:
        raise ThreadNotFound
    thread: Thread = found[0]
    return thread


def _locked(actor: Actor, thread_id: UUID) -> list[Thread]:
    """A thread that the actor may see, locked: of those whom most ask for, by statements that are compiled."""
    if actor.kind == "session" and actor.agent_id is not None and actor.external_ref is not None:
        return _locked_of_visitor(
            thread_id=thread_id,
            workspace_id=actor.workspace_id,
            agent_id=actor.agent_id,
            external_ref=actor.external_ref,
        )
    if sees_all(actor) and actor.agent_id is None:
        return _locked_of_workspace(thread_id=thread_id, workspace_id=actor.workspace_id)
    return list(_lock(visible(actor=actor), thread_id))


@Compiled
def _locked_of_visitor(thread_id: UUID, workspace_id: UUID, agent_id: UUID, external_ref: str) -> ThreadQuerySet:
    visitor = Actor("session", workspace_id, frozenset(), agent_id=agent_id, external_ref=external_ref)
    return _lock(visible(actor=visitor), thread_id)


@Compiled
def _locked_of_workspace(thread_id: UUID, workspace_id: UUID) -> ThreadQuerySet:
    return _lock(visible(actor=system(workspace_id)), thread_id)


def _lock(threads: ThreadQuerySet, thread_id: UUID) -> ThreadQuerySet:
    return threads.filter(pk=thread_id).select_for_update(of=("self",)).order_by()


def lock(*, thread: Thread, with_agent: bool = True) -> Thread:
    """The thread's row, locked until the transaction ends, for a write. Raises ThreadNotFound, ThreadArchived."""
    rows = Thread.objects.select_for_update(of=("self",)).filter(pk=thread.pk, workspace_id=thread.workspace_id)
    if with_agent:
        rows = rows.select_related("agent")
    locked = rows.exclude(state=Thread.State.TRASHED).order_by().first()
    if locked is None:
        raise ThreadNotFound
    if locked.state == Thread.State.ARCHIVED:
        raise ThreadArchived
    return locked


def get_message(*, thread: Thread, message_id: UUID) -> Message:
    """One message of a thread, on whichever of its branches. Raises MessageNotFound."""
    if reading.is_bundled(thread):
        message = reading.message(thread, message_id)
    else:
        message = Message.objects.of_all_branches(thread).filter(pk=message_id).first()
    if message is None:
        raise MessageNotFound
    return message


def get_run(*, thread: Thread, run_id: UUID) -> Run:
    """One run of a thread. Raises RunNotFound."""
    if reading.is_bundled(thread):
        run = next((each for each in reading.runs(thread) if each.pk == run_id), None)
    else:
        run = Run.objects.of_thread(thread).filter(pk=run_id).first()
    if run is None:
        raise RunNotFound
    return run


def get_attachment(*, thread: Thread, attachment_id: UUID) -> Attachment:
    """One file of a thread's messages. Raises AttachmentNotFound."""
    if reading.is_bundled(thread):
        attachment = reading.attachment(thread, attachment_id)
    else:
        rows = Attachment.objects.filter(thread_id=thread.id, workspace_id=thread.workspace_id)
        attachment = rows.filter(pk=attachment_id).first()
    if attachment is None:
        raise AttachmentNotFound
    return attachment
