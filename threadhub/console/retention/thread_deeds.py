"""What staff do with one thread's life: archive and back, pin, delete, out of the trash, purge."""

from typing import Any

from django.utils import timezone

from threadhub.console import display
from threadhub.console.deeds import Deed
from threadhub.console.retention import words
from threadhub.workspaces.permissions import Permission
from threads.actions import threads
from threads.lifecycle import acts, restore, rules, trash
from threads.models import Thread


def _name(thread: Any) -> str:
    return display.shortened(thread.title) or "Untitled"


def _trash_days(thread: Any) -> int:
    return rules.settings_of(thread.workspace_id).trash_days


def _deletion(thread: Any) -> str:
    if days := _trash_days(thread):
        return f"It goes into the workspace's trash, and staff can bring it back for {words.days(days)}."
    return (
        "The workspace has no trash, so this is final: its messages, runs, summaries and files go, out of its bundle"
        " too, and nobody can bring them back. Only a tombstone stays."
    )


def _end_of_id(thread: Any) -> str:
    return str(thread.wire_id)[-6:]


def _typed_where_final(thread: Any) -> str | None:
    return None if _trash_days(thread) else _end_of_id(thread)


def _is(*states: str) -> Any:
    return lambda thread: thread.state in states


KEPT = (Thread.State.ACTIVE, Thread.State.ARCHIVED)


def _comes_back(thread: Any) -> bool:
    """Whether it is in the trash, and its time there is not over."""
    return thread.state == Thread.State.TRASHED and not trash.is_over(thread.purge_after, timezone.now())


DEEDS = (
    Deed(
        name="archive",
        title="Archive",
        icon="archive",
        permission=Permission.THREAD_ARCHIVE,
        question=lambda thread: f"Archive “{_name(thread)}”?",
        consequence="Its messages move into a bundle. It stays readable, nobody writes to it until it is unarchived.",
        done=lambda thread: "The thread is archived.",
        do=lambda actor, thing, now: acts.archive(actor=actor, thread=thing, now=now),
        applies=_is(Thread.State.ACTIVE),
        danger=False,
        instead="Leave it active",
    ),
    Deed(
        name="unarchive",
        title="Unarchive",
        icon="unarchive",
        permission=Permission.THREAD_ARCHIVE,
        question=lambda thread: f"Make “{_name(thread)}” active again?",
        consequence="Its messages come back from the bundle, verified. No policy takes it again within a week.",
        done=lambda thread: "The thread is active again.",
        do=lambda actor, thing, now: restore.restore(actor=actor, thread=thing, now=now),
        applies=_is(Thread.State.ARCHIVED),
        danger=False,
        instead="Leave it archived",
    ),
    Deed(
        name="pin",
        title="Pin",
        icon="keep",
        permission=Permission.RETENTION_WRITE,
        question=lambda thread: f"Pin “{_name(thread)}”?",
        consequence="No policy archives, trashes or destroys it until it is unpinned. People still can.",
        done=lambda thread: "The thread is pinned.",
        do=lambda actor, thing, now: acts.pin(actor=actor, thread=thing),
        applies=lambda thread: _is(*KEPT)(thread) and not thread.pinned,
        danger=False,
        instead="Leave it to the policies",
    ),
    Deed(
        name="unpin",
        title="Unpin",
        icon="keep_off",
        permission=Permission.RETENTION_WRITE,
        question=lambda thread: f"Unpin “{_name(thread)}”?",
        consequence="Policies are about it again, with the next sweep.",
        done=lambda thread: "The thread is no longer pinned.",
        do=lambda actor, thing, now: acts.pin(actor=actor, thread=thing, pinned=False),
        applies=lambda thread: _is(*KEPT)(thread) and thread.pinned,
        danger=False,
        instead="Leave it pinned",
    ),
    Deed(
        name="untrash",
        title="Restore",
        icon="restore_from_trash",
        permission=Permission.THREAD_ARCHIVE,
        question=lambda thread: f"Bring “{_name(thread)}” back from the trash?",
        consequence="It is as it was before, but not pinned. No policy takes it again within a week.",
        done=lambda thread: "The thread is back.",
        do=lambda actor, thing, now: trash.take_out(actor=actor, thread_id=thing.pk, now=now, grace=restore.GRACE),
        applies=_comes_back,
        danger=False,
        instead="Leave it in the trash",
    ),
    Deed(
        name="purge",
        title="Purge now",
        icon="delete_forever",
        permission=Permission.THREAD_DELETE,
        question=lambda thread: f"Destroy “{_name(thread)}” for ever, now?",
        consequence="Its messages, runs, summaries and files go, out of its bundle too. Only a tombstone stays.",
        done=lambda thread: f"The thread “{_name(thread)}” is destroyed.",
        do=lambda actor, thing, now: acts.purge_now(actor=actor, thread=thing, now=now),
        applies=_is(Thread.State.TRASHED),
        removes=True,
        typed=_end_of_id,
        instead="Leave it in the trash",
    ),
    Deed(
        name="delete",
        title="Delete thread",
        icon="delete",
        permission=Permission.THREAD_DELETE,
        question=lambda thread: f"Delete “{_name(thread)}”?",
        consequence=_deletion,
        done=lambda thread: f"Deleted the thread “{display.shortened(thread.title) or thread.wire_id}”.",
        do=lambda actor, thing, now: threads.delete(actor=actor, thread=thing, now=now),
        applies=_is(*KEPT),
        removes=True,
        typed=_typed_where_final,
    ),
)
