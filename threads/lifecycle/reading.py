"""Reading a thread wherever its messages are: in the tables, or, once it is archived, in its bundle.

What comes from a bundle are objects of the same models that stand in no table: views render them as any other.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property
from itertools import islice
from typing import Any
from uuid import UUID

from django.db import models

from threads.lifecycle.bundles import records
from threads.lifecycle.bundles.reader import ThreadReader
from threads.models import Attachment, Feedback, Message, Run, Summary, Thread
from threads.path import Path
from threads.runs import replay
from threads.runs.events import StoredEvent


def is_bundled(thread: Thread) -> bool:
    """Whether the thread's messages are in a bundle. Those of an archived thread stay there in the trash, too."""
    return thread.bundle_id is not None


def messages(thread: Thread) -> Iterable[Message]:
    """The messages of a thread's active branch, oldest first."""
    return ArchivedMessages.of(thread) if is_bundled(thread) else Message.objects.of_thread(thread)


def summaries(thread: Thread) -> Iterable[Summary]:
    """The summaries of a thread's active branch, in their order."""
    from threads import summaries as live_summaries  # it knows of runs, which know of threads' gates

    if is_bundled(thread):
        found = _objects(ThreadReader.of(thread), "summary", Summary)
        return [each for each in found if thread.path is None or each.to_position in thread.path]
    return live_summaries.of_thread(thread)


def last_times(thread: Thread, paths: Sequence[Path]) -> list[datetime | None]:
    """When the last message of each branch was said, of a bundled thread. Read from its end on, as far as need be."""
    found: list[datetime | None] = [None] * len(paths)
    for message in ArchivedMessages.of(thread).on(None).order_by("-position"):
        for at, path in enumerate(paths):
            if found[at] is None and message.position in path:
                found[at] = message.created_at
        if None not in found:
            break
    return found


def every_summary(thread: Thread) -> list[Summary]:
    """The summaries of all branches of a bundled thread."""
    return list(_objects(ThreadReader.of(thread), "summary", Summary))


def events(*, workspace_id: UUID, thread_id: UUID, run_id: UUID, after: int) -> list[StoredEvent]:
    """The events of a run of a bundled thread after a number, told from its messages; none where it is in no bundle."""
    thread = Thread.objects.filter(pk=thread_id, workspace_id=workspace_id, bundle_id__isnull=False).first()
    run = next((each for each in runs(thread) if each.pk == run_id), None) if thread else None
    if thread is None or run is None or run.replay is None:
        return []
    wanted = replay.messages_of(run.replay, after)
    said: Iterable[Message] = ArchivedMessages.of(thread).on(None) if wanted else []
    texts = {each.pk: each.content for each in said if each.pk in wanted}
    return replay.told(run.replay, after, texts)


def runs(thread: Thread) -> list[Run]:
    """The runs of a bundled thread, newest first."""
    found = list(_objects(ThreadReader.of(thread), "run", Run))
    for run in found:
        run.thread = thread
    return found[::-1]


def message(thread: Thread, message_id: UUID) -> Message | None:
    """One message of a bundled thread."""
    return next((each for each in ArchivedMessages.of(thread).on(None) if each.pk == message_id), None)


def attachment(thread: Thread, attachment_id: UUID) -> Attachment | None:
    """One file of a bundled thread."""
    found = _objects(ThreadReader.of(thread), "attachment", Attachment)
    return next((each for each in found if each.pk == attachment_id), None)


def every_feedback(thread: Thread) -> list[Feedback]:
    """All feedback on the messages of a bundled thread."""
    return list(_objects(ThreadReader.of(thread), "feedback", Feedback))


def feedback(thread: Thread, message_id: UUID, author: str) -> Feedback | None:
    """Somebody's feedback on a message of a bundled thread."""
    found = every_feedback(thread)
    return next((each for each in found if (each.message_id, each.author) == (message_id, author)), None)


def fill(thread: Thread) -> None:
    """Give a bundled thread its messages, as `with_messages` does for one in the tables."""
    if is_bundled(thread):
        _put(thread, "messages", Message, list(ArchivedMessages.of(thread)))


@dataclass(frozen=True)
class ArchivedMessages:
    """The messages of a bundled thread, narrowed and ordered as a MessageQuerySet is; only what is asked is read."""

    thread: Thread
    reader: ThreadReader
    first: int = 0  # both ends left out
    end: int | None = None
    role: str | None = None
    backwards: bool = False
    path: Path | None = None

    @classmethod
    def of(cls, thread: Thread) -> ArchivedMessages:
        """Those of the active branch."""
        return cls(thread, ThreadReader.of(thread), path=thread.path)

    def on(self, path: Path | None) -> ArchivedMessages:
        """Those of a branch; None: all."""
        return replace(self, path=path)

    def after(self, position: int) -> ArchivedMessages:
        return replace(self, first=max(self.first, position))

    def before(self, position: int) -> ArchivedMessages:
        return replace(self, end=position if self.end is None else min(self.end, position))

    def with_role(self, role: str | None) -> ArchivedMessages:
        return replace(self, role=role)

    def order_by(self, field: str) -> ArchivedMessages:
        return replace(self, backwards=field.startswith("-"))

    def prefetch_related(self, *names: str) -> ArchivedMessages:
        return self

    def exists(self) -> bool:
        return next(iter(self), None) is not None

    def __getitem__(self, part: slice) -> list[Message]:
        return list(islice(self, part.start, part.stop))

    def __iter__(self) -> Iterator[Message]:
        if self.backwards:
            found = self.reader.last_records(before=self.end, after=self.first)
        else:
            found = self.reader.records("message", after=self.first, before=self.end)
        for record in found:
            if self.path is not None and record["position"] not in self.path:
                continue
            if self.role is None or record["role"] == self.role:
                yield self._message(record)

    @cached_property
    def _files(self) -> dict[UUID, list[Attachment]]:
        files: dict[UUID, list[Attachment]] = {}
        if self.reader.entry.counts.get("attachment"):
            for each in _objects(self.reader, "attachment", Attachment):
                files.setdefault(each.message_id, []).append(each)
        return files

    def _message(self, record: dict[str, Any]) -> Message:
        found: Message = records.instance(record, Message)
        found.thread = self.thread
        _put(found, "attachments", Attachment, self._files.get(found.pk, []))
        return found


def _objects(reader: ThreadReader, kind: str, model: type[Any]) -> Iterator[Any]:
    return (records.instance(record, model) for record in reader.records(kind))


def _put(owner: models.Model, name: str, model: type[models.Model], found: list[Any]) -> None:
    """What `owner.<name>.all()` gives from now on, without asking the database."""
    rows: Any = model._default_manager.none()
    rows._result_cache = found
    rows._prefetch_done = True
    cache: dict[str, Any] = owner.__dict__.setdefault("_prefetched_objects_cache", {})
    cache[name] = rows
