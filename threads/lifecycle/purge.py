"""Destroying threads for ever: rows, files, what stands in bundles; a tombstone stays.

The order is such that a crash loses no evidence and shows no half: tombstones and deletions are one transaction; files
go after its commit, and `collect_orphan_bundles` and `doctor` find those that a crash left.
"""

import hashlib
import threading
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from itertools import groupby
from typing import Any
from uuid import UUID

from django.db import connection, transaction

from threadhub.lib import json, keyed
from threads import attachments, sql
from threads.lifecycle.bundles import rewrite
from threads.lifecycle.bundles.verify import Damaged
from threads.lifecycle.candidates import Candidate
from threads.lifecycle.resolver import Decision

# Children first and set-wise: what the cascade then finds is nothing. Run events go with their runs.
DELETIONS = (
    "DELETE FROM threads_message WHERE workspace_id = %(workspace)s AND thread_id = ANY(%(ids)s::uuid[])",
    "DELETE FROM threads_run WHERE workspace_id = %(workspace)s AND thread_id = ANY(%(ids)s::uuid[])",
    "DELETE FROM threads_bundledthread WHERE workspace_id = %(workspace)s AND thread_id = ANY(%(ids)s::uuid[])",
)
THREADS = "DELETE FROM threads_thread WHERE workspace_id = %(workspace)s AND id = ANY(%(ids)s::uuid[])"
FILES = """
SELECT thread_id, file FROM threads_attachment WHERE workspace_id = %(workspace)s AND thread_id = ANY(%(ids)s::uuid[])
 UNION ALL
SELECT thread_id, jsonb_array_elements_text(files)
  FROM threads_bundledthread WHERE workspace_id = %(workspace)s AND thread_id = ANY(%(ids)s::uuid[])
"""
# One text for all of them: as rows of the ORM they took three times as long.
STONES = """
INSERT INTO threads_tombstone (thread_id, workspace_id, reason, policy_id, purged_by, purged_at, agent_id,
                               external_ref_digest, state, message_count, attachment_count, evidence)
SELECT thread_id, %(workspace)s, reason, policy_id, %(by)s, %(now)s, agent_id, external_ref_digest, state,
       message_count, attachment_count, evidence
  FROM json_to_recordset(%(stones)s) AS stone (thread_id uuid, reason text, policy_id uuid, agent_id uuid,
                                               external_ref_digest text, state text, message_count int,
                                               attachment_count int, evidence text)
"""
Due = tuple[Candidate, Decision]


class Purging:
    """Purges what the resolver said, batch by batch, in several threads of execution where there are some. Where a
    bundle is missing or damaged, so that what stays of it cannot be moved, its threads stay, and all others go.
    `faults`: a sentence about each such bundle."""

    def __init__(self, *, workspace_id: UUID, by: str, now: datetime) -> None:
        self.workspace_id = workspace_id
        self.by = by
        self.now = now
        self.files = 0
        self.damaged: set[UUID | None] = set()
        self.faults: list[str] = []
        self._lock = threading.Lock()

    def can(self, candidate: Candidate) -> bool:
        """Whether nothing is known to keep it."""
        return candidate.bundle_id is None or candidate.bundle_id not in self.damaged

    def lock(self, due: Iterable[Due]) -> None:
        """Nobody rewrites their bundles until the transaction ends. Before anything of a batch is destroyed: all of
        them in one order, and the chain's end after them, as whoever else has some of them."""
        rewrite.lock(
            workspace_id=self.workspace_id, thread_ids=[each.facts.id for each, _ in due if each.bundle_id is not None]
        )

    def destroy(self, due: Sequence[Due]) -> list[Due]:
        """Purge them; returns those that went. For callers as `destroy` has them."""
        due = [each for each in due if self.can(each[0])]
        try:
            self._purge(due)
            return due
        except Damaged:
            pass
        done: list[Due] = []
        for bundle_id, of_bundle in groupby(sorted(due, key=_bundle), key=lambda each: each[0].bundle_id):
            group = list(of_bundle)
            try:
                self._purge(group)
                done += group
            except Damaged as error:
                self._leave(bundle_id, error)
        return done

    def _purge(self, due: Sequence[Due]) -> None:
        with transaction.atomic():
            files = destroy(
                workspace_id=self.workspace_id,
                doomed=[candidate for candidate, _ in due],
                reason={candidate.facts.id: decision for candidate, decision in due},
                by=self.by,
                now=self.now,
            )
        with self._lock:
            self.files += files

    def _leave(self, bundle_id: UUID | None, error: Damaged) -> None:
        with self._lock:
            if bundle_id not in self.damaged:
                self.damaged.add(bundle_id)
                self.faults.append(f"{error.message} Its threads that are to be purged stay.")


def _bundle(due: Due) -> str:
    return str(due[0].bundle_id or "")


def destroy(
    *, workspace_id: UUID, doomed: Sequence[Candidate], reason: str | Mapping[UUID, Decision], by: str, now: datetime
) -> int:
    """Purge threads; returns how many files of attachments go with them. For callers who hold the rows' locks, looked
    for holds, and are inside a transaction. `reason`: one for all, or for each what the resolver decided.

    Once in a transaction: what stays of a bundle would ask for locks of its threads' rows if it moved twice.
    """
    ids = [each.facts.id for each in doomed]
    files = _files(workspace_id, ids)
    _bury(workspace_id, doomed, files, reason, by, now)
    rewrite.drop(workspace_id=workspace_id, thread_ids=[each.facts.id for each in doomed if each.bundle_id], now=now)
    return remove(workspace_id=workspace_id, thread_ids=ids, files=files)


def remove(*, workspace_id: UUID, thread_ids: Sequence[UUID], files: dict[UUID, list[str]] | None = None) -> int:
    """Remove the rows of live threads, and their files once that is committed; no tombstone."""
    files = _files(workspace_id, thread_ids) if files is None else files
    parameters: dict[str, Any] = {"workspace": workspace_id, "ids": sql.array(thread_ids)}
    with connection.cursor() as cursor:
        for statement in DELETIONS:
            cursor.execute(statement, parameters)
        cursor.execute(THREADS, parameters)
        if cursor.rowcount != len(thread_ids):
            raise RuntimeError(f"{len(thread_ids)} threads were to be purged, {cursor.rowcount} were there")
    names = [name for each in files.values() for name in each]
    attachments.remove_unreferenced(workspace_id=workspace_id, names=names)
    return len(names)


def reference_digest(workspace_id: UUID, external_ref: str | None) -> str:
    """What a tombstone keeps of a reference: nothing that anyone without this installation's key can undo."""
    if external_ref is None:
        return ""
    return keyed.digest("tombstone", f"{workspace_id}:{external_ref}").hex()


def evidence(candidate: Candidate) -> str:
    """SHA-256 over what a purged thread was, without its content."""
    facts = candidate.facts
    return hashlib.sha256(
        json.dumps_sorted(
            {
                "id": str(facts.id),
                "agent": str(facts.agent_id),
                "state": facts.state,
                "created_at": facts.created_at.isoformat() if facts.created_at else None,
                "last_activity_at": facts.last_activity_at.isoformat() if facts.last_activity_at else None,
                "message_count": candidate.message_count,
                "last_position": candidate.last_position,
            }
        )
    ).hexdigest()


def _files(workspace_id: UUID, ids: Sequence[UUID]) -> dict[UUID, list[str]]:
    """Names of the attachments' files by thread: those of live rows, and those that bundles refer to."""
    files: dict[UUID, list[str]] = {}
    with connection.cursor() as cursor:
        cursor.execute(FILES, {"workspace": workspace_id, "ids": sql.array(ids)})
        for thread_id, name in cursor.fetchall():
            files.setdefault(thread_id, []).append(name)
    return files


def _bury(
    workspace_id: UUID,
    doomed: Sequence[Candidate],
    files: dict[UUID, list[str]],
    reason: str | Mapping[UUID, Decision],
    by: str,
    now: datetime,
) -> None:
    stones = [
        {
            "thread_id": each.facts.id,
            **_why(reason if isinstance(reason, str) else reason[each.facts.id]),
            "agent_id": each.facts.agent_id,
            "external_ref_digest": reference_digest(workspace_id, each.facts.external_ref),
            "state": each.facts.state,
            "message_count": each.message_count,
            "attachment_count": len(files.get(each.facts.id, [])),
            "evidence": evidence(each),
        }
        for each in doomed
    ]
    shared: dict[str, Any] = {"workspace": workspace_id, "by": by, "now": now}
    with connection.cursor() as cursor:
        cursor.execute(STONES, shared | {"stones": json.dumps(stones).decode()})


def _why(reason: str | Decision) -> dict[str, str | UUID | None]:
    if isinstance(reason, str):
        return {"reason": reason, "policy_id": None}
    return {"reason": reason.reason.value, "policy_id": reason.rule.id if reason.rule is not None else None}
