"""Archiving: the messages of threads, and all that belongs to them, go into one bundle; the thread's row stays.

The order, so that a crash at any instant loses nothing (each line only after the one before):

    rows locked and looked at again → written under a temporary name → flushed and synced → renamed → directory synced
    → manifest likewise → opened again, decompressed, hashes and counts compared
    → one transaction: catalogue, deletions with their counts asserted, the threads' state → commit

All of it is one transaction of the caller's. Until its commit every message is readable live and the file is an orphan;
after it every message is readable through the catalogue. So the deletion may begin, in the transaction, while the file
is still being compared: unless that says yes, it is taken back.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import connection, models
from psycopg import sql

from threadhub.lib import ids
from threadhub.workspaces.models import Workspace
from threads.lifecycle.bundles import live, manifest, records, vault, verify
from threads.lifecycle.bundles.manifest import Range
from threads.lifecycle.bundles.writer import BundleWriter, Line, Written
from threads.lifecycle.in_flight import Statement
from threads.models import Bundle, BundledThread, Run, Thread
from threads.runs import replay

CHUNK = 2_000  # rows that the database's cursor hands over at a time
DELETE = "DELETE FROM {table} WHERE workspace_id = {workspace} AND thread_id = ANY({threads})"
CHAIN_LOCK = "SELECT pg_advisory_xact_lock(hashtextextended('bundles:' || %s::text, 0))"


@dataclass(frozen=True, slots=True)
class Source:
    """A thread to be written: its id, its making, and its lines when they are wanted."""

    thread_id: UUID
    created_at: datetime
    lines: Iterator[Line]


def archive(*, workspace_id: UUID, thread_ids: Sequence[UUID], now: datetime) -> Bundle:
    """Put active threads into one new bundle. For callers who hold the rows' locks, looked for holds and runs, and are
    inside a transaction."""
    rows = Thread.objects.filter(workspace_id=workspace_id, pk__in=list(thread_ids), state=Thread.State.ACTIVE)
    found = sorted(rows.values_list("created_at", "pk"))
    _compact_runs(workspace_id, thread_ids)
    lines = live.Lines(workspace_id, [pk for _, pk in found])
    sources = [Source(pk, created_at, lines.of(number)) for number, (created_at, pk) in enumerate(found, start=1)]
    with Removal(workspace_id, [pk for _, pk in found], lines) as removal:
        bundle, written = store(workspace_id=workspace_id, sources=sources, now=now, meanwhile=removal)
    stubs = Thread.objects.filter(workspace_id=workspace_id, pk__in=[pk for _, pk in found])
    stubs.update(state=Thread.State.ARCHIVED, archived_at=now, bundle_id=bundle.id, updated_at=now)
    enter(bundle, written)
    return bundle


def store(
    *, workspace_id: UUID, sources: Sequence[Source], now: datetime, meanwhile: "Removal | None" = None
) -> tuple[Bundle, list[Written]]:
    """Write threads into a new bundle, durable and verified, with its row in the catalogue. From its name on the chain
    is locked, until the transaction ends. `meanwhile`: what the database does while the bundle is verified."""
    workspace = ids.encode(Workspace.PREFIX, workspace_id)
    first_at, last_at = min(s.created_at for s in sources), max(s.created_at for s in sources)
    with vault.writing() as draft, vault.writing() as index:
        with BundleWriter(draft.file) as writer:
            for source in sources:
                writer.add(source.thread_id, source.lines)
        content = writer.content_hash.hexdigest()
        draft.sync()
        if meanwhile is not None:
            meanwhile.written()
        with connection.cursor() as cursor:  # not before: another archive of the workspace may write meanwhile
            cursor.execute(CHAIN_LOCK, [str(workspace_id)])
        last = Bundle.objects.filter(workspace_id=workspace_id).order_by("-number").first()
        previous = last.manifest_sha256 if last else ""
        text = manifest.encode(
            workspace=workspace,
            content_sha256=content,
            previous=previous,
            file_sha256=writer.file_hash.hexdigest(),
            file_size=writer.offset,
            threads=writer.threads,
            span=Range(records.timestamp(first_at), records.timestamp(last_at)),
        )
        name = manifest.name_of(content, previous)
        path = f"{workspace}/{first_at:%Y/%m}/{name}"
        index.file.write(text)
        draft.keep(f"{path}/{manifest.THREADS}")
        index.keep(f"{path}/{manifest.MANIFEST}")
    if meanwhile is not None:
        meanwhile.begin()
    checked = verify.whole(path=path, workspace=workspace)
    if checked.threads != {thread.thread_id: thread.sha256 for thread in writer.threads}:
        raise verify.Damaged(path, "it does not hold the threads that were written")
    if meanwhile is not None:
        meanwhile.end(messages=checked.messages)
    bundle = Bundle.objects.create(
        workspace_id=workspace_id,
        number=(last.number if last else 0) + 1,
        name=name,
        path=path,
        size=writer.offset,
        sha256=writer.file_hash.hexdigest(),
        manifest_sha256=checked.manifest_sha256,
        previous=previous,
        thread_count=len(writer.threads),
        message_count=sum(thread.counts.get("message", 0) for thread in writer.threads),
        created_at=now,
    )
    return bundle, writer.threads


STANDING = ["bundle", "sha256", "counts", "frames", "files", "good", "bad"]


def enter(bundle: Bundle, written: Sequence[Written], *, moved: bool = False) -> None:
    """Where each thread of a bundle stands, into the catalogue. `moved`: they have rows there, which change in place; a
    new row would wait for whoever has the thread's own row in hand."""
    BundledThread.objects.bulk_create(
        [
            BundledThread(
                thread_id=each.thread_id,
                workspace_id=bundle.workspace_id,
                bundle_id=bundle.id,
                sha256=each.sha256,
                counts=each.counts,
                frames=each.frames,
                files=each.files,
                good=each.good,
                bad=each.bad,
            )
            for each in written
        ],
        batch_size=1000,
        update_conflicts=moved,
        unique_fields=["thread_id", "workspace"] if moved else None,
        update_fields=STANDING if moved else None,
    )


def live_lines(workspace_id: UUID, thread_id: UUID) -> Iterator[Line]:
    """A thread's record, then all that belongs to it, out of the tables; a few thousand rows in memory at a time. The
    plain way, for one thread; `live` does the same for many."""
    where = "workspace_id = %s AND id = %s"
    yield from _lines("thread", Thread, where, [workspace_id, thread_id], "id")
    for kind, model, order in records.PARTS:
        where = "workspace_id = %s AND thread_id = %s"
        yield from _lines(kind, model, where, [workspace_id, thread_id], order)


def _lines(kind: str, model: type[models.Model], where: str, values: list[Any], order: str) -> Iterator[Line]:
    layout = records.columns(model)
    names = [column.name for column in layout]
    position = names.index("position") if kind == "message" else None
    file = names.index("file") if kind == "attachment" else None
    select = f"SELECT {', '.join(names)} FROM {model._meta.db_table} WHERE {where} ORDER BY {order}"  # noqa: S608
    with connection.chunked_cursor() as cursor:
        cursor.execute(select, values)
        while rows := cursor.fetchmany(CHUNK):
            for row in rows:
                yield Line(
                    kind,
                    row[position] if position is not None else 0,
                    records.line(kind, row, layout),
                    row[file] if file is not None else "",
                )


def _compact_runs(workspace_id: UUID, thread_ids: Sequence[UUID]) -> None:
    """Events do not go into bundles; what is needed to tell them again goes with the run (threads/runs/replay.py)."""
    runs = Run.objects.filter(
        workspace_id=workspace_id, thread_id__in=list(thread_ids), replay__isnull=True, finished_at__isnull=False
    )
    for run in runs.order_by("id"):
        replay.compact(run=run)


class Removal:
    """The deletion of what stands in a bundle now: `written`, `begin`, `end`. Before the first, and between the others,
    nothing is asked of the connection."""

    def __init__(self, workspace_id: UUID, thread_ids: Sequence[UUID], lines: live.Lines) -> None:
        self.values = {"workspace": sql.Literal(workspace_id), "threads": sql.Literal(list(thread_ids))}
        self.lines = lines
        self.messages: Statement | None = None

    def __enter__(self) -> "Removal":
        return self

    def __exit__(self, *failed: object) -> None:
        self.lines.close()
        if self.messages is not None:
            self.messages.abandon()

    def written(self) -> None:
        """Raise RuntimeError unless all lines were taken; from here on the connection can be asked again."""
        self.lines.end()

    def begin(self) -> None:
        """Delete what belongs to the threads; of the messages, which are most of it, the end is not waited for."""
        for kind, model, _ in reversed(records.PARTS):
            statement = sql.SQL(DELETE).format(table=sql.Identifier(model._meta.db_table), **self.values)
            if kind == "message":
                self.messages = Statement(statement)
            elif kind not in records.STAYING:
                with connection.cursor() as cursor:
                    cursor.execute(statement)

    def end(self, *, messages: int) -> None:
        """It is done; raises RuntimeError where it was not exactly so many messages."""
        assert self.messages is not None  # noqa: S101  begun
        statement, self.messages = self.messages, None
        deleted = statement.rows()
        if deleted != messages:
            raise RuntimeError(f"{messages} messages were archived, {deleted} were there")
