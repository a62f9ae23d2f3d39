"""What commands do to many threads of a workspace by hand: archive, restore, purge the trash."""

import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Any
from uuid import UUID

from django.db import transaction

from threadhub import audit
from threadhub.lib import ids
from threadhub.lib.errors import DomainError
from threadhub.workspaces import actor as actors
from threadhub.workspaces.models import Workspace
from threads import counts, search_backlog
from threads.lifecycle import (
    batches,
    candidates,
    census,
    holds,
    purge,
    reports,
    resolver,
    rules,
    staging,
    trash,
)
from threads.lifecycle import restore as restoring
from threads.lifecycle.apply import bundles_of
from threads.lifecycle.batches import Bounds, Work
from threads.lifecycle.bundles import archive as bundling
from threads.lifecycle.bundles import rewrite
from threads.lifecycle.bundles.verify import Damaged
from threads.lifecycle.candidates import Candidate, Query, Selection
from threads.lifecycle.erasure import ledger
from threads.lifecycle.resolver import Reason
from threads.models import Sweep, Thread

PAGE = 2_000
TURN_SECONDS = 0.0005  # of Python's threads during an archive, a tenth of the usual
MOST_FAULTS = 100  # sentences, each about a thread; all are counted
Progress = Callable[[int], Any]


@dataclass(slots=True)
class Done:
    """What was done, or would be; several batches may be told at a time."""

    workspace_id: UUID
    threads: int = 0
    messages: int = 0
    ended: str = "done"
    bundles: list[str] = field(default_factory=list)
    skipped: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)
    begun: int = 0  # messages that were restored, or are on their way
    search_follows: int = 0  # messages of the workspace that search learns of later
    dry_run: bool = False
    counts: dict[str, int] = field(default_factory=dict)  # of the workspace: before, and afterwards by state
    lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def count(self, threads: Sequence[Candidate]) -> int:
        """These were done; how many they are."""
        with self.lock:
            self.threads += len(threads)
            self.messages += sum(each.message_count for each in threads)
        return len(threads)

    def begin(self, threads: Sequence[Candidate]) -> int:
        """These are on their way; how many messages were begun before them."""
        with self.lock:
            before, self.begun = self.begun, self.begun + sum(each.message_count for each in threads)
        return before

    def take_back(self, threads: Sequence[Candidate]) -> None:
        """These, which were on their way, failed."""
        with self.lock:
            self.begun -= sum(each.message_count for each in threads)

    def skip(self, reason: str, threads: int = 1) -> None:
        """So many were not, for a reason."""
        with self.lock:
            self.skipped[reason] += threads

    def as_json(self) -> dict[str, Any]:
        return {
            "workspace": ids.encode(Workspace.PREFIX, self.workspace_id),
            "taken": self.threads,
            "messages": self.messages,
            "ended": "dry run" if self.dry_run else self.ended,
            "bundles": self.bundles,
            "skipped": dict(sorted(self.skipped.items())),
            **({"counts": self.counts} if self.counts else {}),
            **({"search_follows": self.search_follows} if self.search_follows else {}),
        }


def known(*, selection: Selection, state: str) -> int | None:
    """How many threads of a selection are in a state, where nobody has to count them: of a workspace or one agent."""
    whole = Selection(workspace_id=selection.workspace_id, agent_id=selection.agent_id)
    if selection != whole or state not in counts.COUNTED:
        return None
    return counts.Counted(selection.workspace_id, selection.agent_id, states=[state]).number()


def archive(*, selection: Selection, now: datetime, bounds: Bounds, dry_run: bool, progress: Progress) -> Done:
    """Archive active threads, but for those that are held or running."""
    done = Done(selection.workspace_id, dry_run=dry_run)
    actor = actors.system(selection.workspace_id)

    def work(thread_ids: list[UUID], left: int | None) -> int:
        chosen = _allowed(_watched(selection.workspace_id, thread_ids), done, left)
        for group in bundles_of(chosen):
            together = [each.facts.id for each in group]
            bundle = bundling.archive(workspace_id=selection.workspace_id, thread_ids=together, now=now)
            done.bundles.append(bundle.name)
            audit.record(
                actor=actor,
                action="thread.archive",
                ids=[ids.encode(Thread.PREFIX, each) for each in together],
                details={"bundle": bundle.name},
            )
        return done.count(chosen)

    query = candidates.in_states(selection=selection, states=["active"], now=now)
    with _short_turns():
        return _through(query, work, bounds, done, Sweep.Kind.ARCHIVE, now, progress, _allowed)


def purge_trash(*, selection: Selection, now: datetime, bounds: Bounds, dry_run: bool, progress: Progress) -> Done:
    """Purge what is in the trash and due, by its own time or by a policy."""
    done = Done(selection.workspace_id, dry_run=dry_run)
    in_force = rules.in_force(workspace_id=selection.workspace_id, now=now)

    actor = actors.system(selection.workspace_id)

    purging = purge.Purging(workspace_id=selection.workspace_id, by=actor.identity, now=now)
    done.faults = purging.faults

    def due(batch: Sequence[Candidate]) -> list[purge.Due]:
        chosen: list[purge.Due] = []
        for each in batch:
            decision = resolver.resolve_for_sweep(each.facts, in_force, now=now, held=each.held)
            if decision.action == "purge":
                chosen.append((each, decision))
            else:
                done.skip(decision.reason.value)
        return chosen

    def work(thread_ids: list[UUID], left: int | None) -> int:
        waiting, gone = due(_watched(selection.workspace_id, thread_ids)), list[Candidate]()
        purging.lock(waiting)
        while waiting and (left is None or len(gone) < left):
            room = len(waiting) if left is None else left - len(gone)
            chosen, waiting = waiting[:room], waiting[room:]
            purged = purging.destroy(chosen)
            if kept := len(chosen) - len(purged):
                done.skip(Damaged.code, kept)
            gone += [each for each, _ in purged]
            waiting = [each for each in waiting if purging.can(each[0])]
        if gone:
            told = [ids.encode(Thread.PREFIX, each.facts.id) for each in gone]
            audit.record(actor=actor, action="thread.purge", ids=told)
        return done.count(gone)

    def choose(batch: Sequence[Candidate], done: Done, left: int | None) -> list[Candidate]:
        return _first([each for each, _ in due(batch)], done, left)

    query = candidates.in_states(selection=selection, states=["trashed"], now=now)
    return _through(query, work, bounds, done, Sweep.Kind.TRASH, now, progress, choose)


def restore(
    *, selection: Selection, now: datetime, bounds: Bounds, trashed: bool, dry_run: bool, progress: Progress
) -> Done:
    """Restore archived or trashed threads: what fails stays as it is and is told; so is, in a dry run, what is too long
    in the trash."""
    done = Done(selection.workspace_id, dry_run=dry_run)
    actor = actors.system(selection.workspace_id)
    erased = ledger.erased(workspace_id=selection.workspace_id)

    choose = partial(_in_time, now=now)

    def one_by_one(threads: Sequence[Candidate]) -> list[Candidate]:
        restored = []
        for each in threads:
            try:
                with transaction.atomic():
                    if trashed:
                        trash.take_out(
                            actor=actor, thread_id=each.facts.id, now=now, grace=restoring.GRACE, erased=erased
                        )
                    else:
                        together([each])
            except DomainError as error:
                _fail(each, done, error)
            else:
                restored.append(each)
        return restored

    def together(threads: Sequence[Candidate]) -> list[Candidate]:
        thread_ids = [each.facts.id for each in threads]
        before = done.begin(threads)
        try:
            restoring.restore_all(
                actor=actor, workspace_id=selection.workspace_id, thread_ids=thread_ids, now=now,
                before=before, erased=erased,
            )  # fmt: skip
        except DomainError:
            done.take_back(threads)
            raise
        return list(threads)

    def work(thread_ids: list[UUID], left: int | None) -> int:
        chosen = choose(candidates.load(workspace_id=selection.workspace_id, thread_ids=thread_ids), done, left)
        if trashed:
            return done.count(one_by_one(chosen))
        staging.prepare()
        # All at once, in one order: groups take theirs one after the other, and another batch may have the same.
        rewrite.lock(workspace_id=selection.workspace_id, thread_ids=[each.facts.id for each in chosen])
        count = 0
        for group in bundles_of(chosen):
            try:
                restored = together(group)
            except DomainError:  # of one of them, perhaps
                restored = one_by_one(group)
            count += done.count(restored)
        return count

    states = ["trashed"] if trashed else ["archived"]
    query = candidates.in_states(selection=selection, states=states, now=now)
    _through(query, work, bounds, done, Sweep.Kind.RESTORE, now, progress, choose)
    if not dry_run:
        done.search_follows = search_backlog.waiting(workspace_id=selection.workspace_id)
    return done


def _through(
    query: Query,
    work: Work,
    bounds: Bounds,
    done: Done,
    kind: str,
    now: datetime,
    progress: Progress,
    choose: Callable[[Sequence[Candidate], Done, int | None], list[Candidate]],
) -> Done:
    """Batch by batch; where there was something to do, the workspace's threads are counted before and afterwards. A
    report is kept. In a dry run only what would be chosen is counted. Raises census.CountsDoNotAgree."""
    if done.dry_run:
        for page in query.pages(PAGE):
            left = None if bounds.limit is None else bounds.limit - done.threads
            if left == 0:
                break
            done.count(choose(page, done, left))
        return done
    # Of all workspaces, most have nothing of what somebody looks for: theirs are not counted.
    before = census.take(workspace_id=done.workspace_id, until=now) if query.keys(after=None, limit=1) else None
    _, done.ended = batches.through(query=query, bounds=bounds, work=work, progress=progress)
    if before is not None:
        done.counts = census.compare(workspace_id=done.workspace_id, before=before, until=now)
    report = done.as_json()
    reports.keep(workspace_id=done.workspace_id, kind=kind, cutoff=now, now=candidates.database_now(), report=report)
    return done


@contextmanager
def _short_turns() -> Iterator[None]:
    """One thread waits for rows of the database while another is busy with its own: as soon as rows are there, it must
    not wait long for its turn, or the database stands still."""
    usual = sys.getswitchinterval()
    sys.setswitchinterval(TURN_SECONDS)
    try:
        yield
    finally:
        sys.setswitchinterval(usual)


def _watched(workspace_id: UUID, thread_ids: Sequence[UUID]) -> list[Candidate]:
    """Locked threads as they are once no further hold can come."""
    holds.watch(workspace_id)
    return candidates.load(workspace_id=workspace_id, thread_ids=thread_ids)


def _first(batch: Sequence[Candidate], done: Done, left: int | None) -> list[Candidate]:
    """Those that it may still take."""
    return list(batch) if left is None else list(batch[:left])


def _in_time(batch: Sequence[Candidate], done: Done, left: int | None, *, now: datetime) -> list[Candidate]:
    """Those that it may still take, and whose time in the trash, if they are there, is not over."""
    chosen: list[Candidate] = []
    for each in batch:
        if trash.is_over(each.facts.purge_after, now):
            _fail(each, done, trash.TrashTimeOver())
        else:
            chosen.append(each)
    return _first(chosen, done, left)


def _fail(thread: Candidate, done: Done, error: DomainError) -> None:
    done.skip(error.code)
    if len(done.faults) < MOST_FAULTS:
        done.faults.append(f"{ids.encode(Thread.PREFIX, thread.facts.id)}: {error.message}")


def _allowed(batch: Sequence[Candidate], done: Done, left: int | None) -> list[Candidate]:
    """Those that nothing forbids to archive; the others are counted with the reason."""
    chosen: list[Candidate] = []
    for each in batch:
        if each.held:
            done.skip(Reason.HELD.value)
        elif each.facts.running:
            done.skip(Reason.RUN_IN_PROGRESS.value)
        elif left is None or len(chosen) < left:
            chosen.append(each)
    return chosen
