"""What an export holds of a thread: its records, as a bundle has them, or its messages for people to read. An archived
thread is read out of its bundle. A few thousand rows are in memory at a time."""

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID

from django.db import connection, transaction

from threadhub.lib import ids
from threads.lifecycle import reading
from threads.lifecycle.bundles import archive, records
from threads.lifecycle.bundles.reader import ThreadReader
from threads.lifecycle.bundles.writer import Line
from threads.models import Attachment, Message, Thread
from threads.querysets.messages import MessageQuerySet

CHUNK = 500


@contextmanager
def snapshot() -> Iterator[None]:
    """One moment's view of the database, where no transaction is open yet."""
    outermost = not connection.in_atomic_block
    with transaction.atomic():
        if outermost:
            with connection.cursor() as cursor:
                cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        yield


def lines(thread: Thread) -> Iterator[Line]:
    """A thread's records. Files are named by where they stand in an export, so that a copy of the thread elsewhere
    gives the same bytes."""
    live = thread.bundle_id is None
    found = archive.live_lines(thread.workspace_id, thread.pk) if live else _archived(thread)
    for line in found:
        yield _with_file_of_export(line) if line.kind == "attachment" else line


def messages(thread: Thread) -> Iterable[Message]:
    """The messages of the active branch with their files, oldest first."""
    found = reading.messages(_readable(thread))
    if isinstance(found, MessageQuerySet):
        return found.prefetch_related("attachments").iterator(chunk_size=CHUNK)
    return found


def attachments(thread: Thread) -> Iterator[Attachment]:
    """All files of a thread, those of every branch."""
    if thread.bundle_id is not None:
        for record in ThreadReader.of(thread).records("attachment"):
            yield records.instance(record, Attachment)
    else:
        rows = Attachment.objects.filter(thread_id=thread.pk, workspace_id=thread.workspace_id)
        yield from rows.order_by("pk").iterator(chunk_size=CHUNK)


def path_of(attachment_id: Any) -> str:
    """Where a file stands in an export."""
    return f"attachments/{ids.encode(Attachment.PREFIX, attachment_id)}"


def _readable(thread: Thread) -> Thread:
    """One from the trash reads as what it was before."""
    if thread.bundle_id is not None:
        thread.state = Thread.State.ARCHIVED
    return thread


def _archived(thread: Thread) -> Iterator[Line]:
    for text in ThreadReader.of(thread).checked_lines():
        record = records.parse(text)
        kind = record["type"]
        yield Line(kind, record.get("position", 0) if kind == "message" else 0, text + b"\n", record.get("file", ""))


def _with_file_of_export(line: Line) -> Line:
    record = json.loads(line.text)
    record["file"] = path_of(UUID(record["id"]))
    text = json.dumps(record, sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
    return Line(line.kind, line.position, text, record["file"])
