"""The branches of a thread: its courses since it was forked at a message. One of them is active.

Messages never move. A branch is the path of positions that it shows: those it shares with its parent, and those that
were written while it was active. Only the active branch's path has no end, so what is appended is on it, and an append
costs what it costs in a thread that was never forked. Everything here that writes is called with the thread locked.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from django.db.models import DateTimeField, F, Func, OuterRef, QuerySet, Subquery, Value
from django.db.models.functions import Coalesce

from threadhub import audit
from threadhub.lib.errors import Conflict
from threadhub.workspaces.actor import Actor
from threads.access import BranchNotFound
from threads.lifecycle import reading
from threads.models import Branch, Message, Thread
from threads.path import WHOLE, OnPath, Path, on_path

MOST = 1_000  # branches of one thread: each keeps its path, which may have a range for every fork above it
BEYOND = 2**31 - 1


class BranchLimit(Conflict):
    """This thread has as many branches as a thread may have."""

    code = "branch_limit"


@dataclass(frozen=True, slots=True)
class Told:
    """A branch as its thread stands now."""

    number: int
    parent: int | None
    from_position: int
    active: bool
    message_count: int
    created_at: datetime
    last_message_at: datetime | None


def of_thread(thread: Thread) -> QuerySet[Branch]:
    """The branches of a thread by number; no rows for one that was never forked (see `first_of`)."""
    return Branch.objects.filter(thread_id=thread.id, workspace_id=thread.workspace_id).order_by("number")


def first_of(thread: Thread) -> Branch:
    """The only branch of a thread that was never forked, as a row would say it. Not stored."""
    return Branch(
        workspace_id=thread.workspace_id,
        thread_id=thread.id,
        number=1,
        path=WHOLE,
        message_count=thread.message_count,
        created_at=thread.created_at,
    )


def get(*, thread: Thread, number: int) -> Branch:
    """One branch of a thread. Raises BranchNotFound."""
    if thread.path is None and number == 1:
        return first_of(thread)
    branch = of_thread(thread).filter(number=number).first() if number <= MOST else None
    if branch is None:
        raise BranchNotFound
    return branch


def path_with(thread: Thread, position: int) -> Path | None:
    """The path of a branch that has this position: up to there they are all the same. None: never forked."""
    if thread.path is None or position in thread.path:
        return thread.path
    path: Path = _with_position(thread, position).path
    return path


def with_last_message(rows: QuerySet[Branch]) -> QuerySet[Branch]:
    """Each with the time of its last message as `last_message_at`; None where it has no message. Each is looked for
    from the end of its path downwards."""
    end = Coalesce(Func(OuterRef("path"), function="upper"), Value(BEYOND))
    messages = Message.objects.filter(
        OnPath(OuterRef("path"), F("position")),
        thread_id=OuterRef("thread_id"),
        workspace_id=OuterRef("workspace_id"),
        position__lt=end,
    )
    newest = messages.order_by("-position").values("created_at")[:1]
    return rows.annotate(last_message_at=Subquery(newest, output_field=DateTimeField()))


def told(*, thread: Thread, rows: Iterable[Branch]) -> list[Told]:
    """Rows of `with_last_message`, with what the thread knows better of its active branch, and the times of messages
    that lie in a bundle."""
    rows = list(rows)
    if reading.is_bundled(thread):
        for branch, at in zip(rows, reading.last_times(thread, [each.path for each in rows]), strict=True):
            branch.last_message_at = at  # type: ignore[attr-defined]  # as of the query
    return [
        Told(
            number=branch.number,
            parent=branch.parent,
            from_position=branch.from_position,
            active=branch.number == thread.branch,
            message_count=thread.message_count if branch.number == thread.branch else branch.message_count,
            created_at=branch.created_at,
            last_message_at=branch.last_message_at,  # type: ignore[attr-defined]  # of the query
        )
        for branch in rows
    ]


def told_of(*, thread: Thread, number: int) -> Told:
    """One branch of a thread, also of one that was never forked. Raises BranchNotFound."""
    if thread.path is None:
        only = get(thread=thread, number=number)
        last = _last_time(thread)
        return Told(only.number, None, 0, True, thread.message_count, thread.created_at, last)
    found = told(thread=thread, rows=with_last_message(of_thread(thread).filter(number=number)))
    if not found:
        raise BranchNotFound
    return found[0]


def _last_time(thread: Thread) -> datetime | None:
    if reading.is_bundled(thread):
        return reading.last_times(thread, [WHOLE])[0]
    return Message.objects.of_thread(thread).values_list("created_at", flat=True).last()


def fork(*, thread: Thread, before: int, actor: Actor, now: datetime) -> Branch:
    """Make a branch that shares what comes before a position, and let it be the active one. Raises BranchLimit.

    Forked is the active branch where it has the position, else the one that had it first. `thread` moves along.
    """
    if thread.path is None:
        thread.path = WHOLE
        first_of(thread).save(force_insert=True)
    last = of_thread(thread).order_by("-number").values_list("number", flat=True)[0]
    if last >= MOST:
        raise BranchLimit
    parent = get(thread=thread, number=thread.branch)
    parent.message_count = thread.message_count
    if before not in parent.path:
        parent = _with_position(thread, before)
    beyond = Message.objects.of_all_branches(thread).on(parent.path).filter(position__gte=before)
    branch = Branch.objects.create(
        workspace_id=thread.workspace_id,
        thread_id=thread.id,
        number=last + 1,
        parent=parent.number,
        from_position=parent.path.last_before(before),
        path=parent.path.until(before - 1),
        message_count=parent.message_count - beyond.count(),
        created_by=actor.identity,
        created_at=now,
    )
    activate(thread=thread, branch=branch, now=now)
    audit.record(
        actor=actor,
        action="branch.create",
        ids=[thread.wire_id],
        details={"branch": branch.number, "parent": branch.parent, "from_position": branch.from_position},
    )
    return branch


def activate(*, thread: Thread, branch: Branch, now: datetime) -> None:
    """Let another branch be the active one: the path of the one that is left ends here, that of the other goes on.

    Does not count as activity. `thread` and `branch` move along.
    """
    assert thread.path is not None  # noqa: S101  there is no other branch in a thread that was never forked
    left = thread.path.until(thread.last_position)
    of_thread(thread).filter(number=thread.branch).update(path=left, message_count=thread.message_count)
    branch.path = branch.path.going_on_from(thread.last_position + 1)
    of_thread(thread).filter(number=branch.number).update(path=branch.path)
    thread.branch, thread.path = branch.number, branch.path
    thread.message_count, thread.updated_at = branch.message_count, now
    thread.save(update_fields=["branch", "path", "message_count", "updated_at"])


def count_one_less(*, thread: Thread, position: int) -> int:
    """A message is gone: take it from the counts of the branches that are not active; returns what the active one's
    lost, 0 or 1."""
    if thread.path is None:
        return 1
    others = of_thread(thread).filter(on_path(F("path"), position)).exclude(number=thread.branch)
    others.update(message_count=F("message_count") - 1)
    return int(position in thread.path)


def versions(*, thread: Thread, shown: int) -> dict[int, list[int]]:
    """What a reader of the branch `shown` can turn to: position → branches with a version of the message there, the
    oldest version first. Of each version the newest branch that has it, or `shown` itself where that has it.

    Only positions with more than one version; empty for a thread that was never forked.
    """
    if thread.path is None:
        return {}
    rows = list(of_thread(thread))
    rows.sort(key=lambda branch: (branch.number == shown, branch.number))
    heads: defaultdict[int, dict[int, int]] = defaultdict(dict)  # fork → first position after it → branch
    for fork in {branch.from_position for branch in rows if branch.parent is not None}:
        for branch in rows:
            head = branch.path.next_after(fork) if fork == 0 or fork in branch.path else None
            if head is not None:
                heads[fork][head] = branch.number
    told: dict[int, list[int]] = {}
    for alternatives in heads.values():
        if len(alternatives) > 1:
            numbers = [alternatives[head] for head in sorted(alternatives)]
            told.update(dict.fromkeys(alternatives, numbers))
    return told


def _with_position(thread: Thread, position: int) -> Branch:
    """The first branch that has a position. Raises BranchNotFound."""
    branch = of_thread(thread).filter(on_path(F("path"), position)).first()
    if branch is None:
        raise BranchNotFound
    return branch
