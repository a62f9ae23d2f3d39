"""Reading one thread out of its bundle: all of it, or the frames that a page needs. Every read compares: a frame with
its checksum, a whole thread with its hash."""

import hashlib
import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from typing import Any

import zstandard

from threads.lifecycle.bundles import records, vault
from threads.lifecycle.bundles.manifest import THREADS
from threads.lifecycle.bundles.verify import Damaged
from threads.models import Bundle, BundledThread, Thread

FRAME_LIMIT = 512 * 2**20  # a frame is 4 MiB and at most one line beyond that


class ThreadReader:
    """The lines of one archived thread. `stays`: its bundle's row is locked, so nobody moves it; its reader then asks
    the database nothing."""

    def __init__(self, entry: BundledThread, path: str, *, stays: bool = False) -> None:
        self.entry = entry
        self.path = path
        self.stays = stays
        self.decompressor = zstandard.ZstdDecompressor()

    @classmethod
    def of(cls, thread: Thread) -> "ThreadReader":
        """Of an archived thread. Raises Damaged where the catalogue does not know it."""
        entry = BundledThread.objects.filter(thread_id=thread.id, workspace_id=thread.workspace_id).first()
        bundle = Bundle.objects.filter(pk=entry.bundle_id, workspace_id=thread.workspace_id).first() if entry else None
        if entry is None or bundle is None:
            raise Damaged(str(thread.bundle_id), f"the catalogue has no {thread.wire_id}")
        return cls(entry, bundle.path)

    @classmethod
    def of_locked(cls, thread: Thread) -> "ThreadReader":
        """Of an archived thread whose bundle nobody rewrites until the transaction ends. The thread's row is locked,
        the bundle's comes after it. Raises Damaged."""
        while True:
            entry = cls.of(thread).entry
            bundle = Bundle.objects.select_for_update().get(pk=entry.bundle_id, workspace_id=thread.workspace_id)
            reader = cls.of(thread)
            if reader.entry.bundle_id == bundle.pk:
                reader.stays = True
                return reader

    def records(self, kind: str, *, after: int = 0, before: int | None = None) -> Iterator[dict[str, Any]]:
        """The records of one kind, in their order; of messages those between two positions, both ends left out."""
        for frame in self._frames(kind, after, before):
            for text in self._text(frame).splitlines():
                record = records.parse(text)
                if record["type"] != kind:
                    continue
                position = record.get("position", 0) if kind == "message" else 0
                if kind == "message" and (position <= after or (before is not None and position >= before)):
                    continue
                yield record

    def last_records(self, *, before: int | None = None, after: int = 0) -> Iterator[dict[str, Any]]:
        """Messages from the end on: newest first."""
        for frame in reversed(self._frames("message", after, before)):
            found = []
            for text in self._text(frame).splitlines():
                record = records.parse(text)
                if record["type"] != "message" or record["position"] <= after:
                    continue
                if before is None or record["position"] < before:
                    found.append(record)
            yield from reversed(found)

    def checked_lines(self) -> Iterator[bytes]:
        """Every line; raises Damaged at the end where they are not those that were written."""
        return (line for line, _ in self.checked())

    def checked(self) -> Iterator[tuple[bytes, dict[str, Any]]]:
        """Every line, without its end, and its record; raises Damaged at the end where they are not those that were
        written."""
        whole = hashlib.sha256()
        counts: dict[str, int] = {}
        for frame in self.entry.frames:
            text = self._text(frame)
            whole.update(text)
            for line in text.split(b"\n")[:-1]:
                record = records.parse(line)
                kind = record["type"]
                counts[kind] = counts.get(kind, 0) + 1
                yield line, record
        if whole.hexdigest() != self.entry.sha256 or counts != self.entry.counts:
            raise Damaged(self.path, "a thread in it is not what was written")

    def proved(self) -> Iterator[tuple[bytes, dict[str, Any]]]:
        """As `checked`, but nothing is given before all of it was compared. A thread of several frames is read twice:
        memory does not grow with it. Raises Damaged."""
        if len(self.entry.frames) == 1:
            yield from list(self.checked())
            return
        whole = hashlib.sha256()
        for frame in self.entry.frames:
            whole.update(self._text(frame))
        if whole.hexdigest() != self.entry.sha256:
            raise Damaged(self.path, "a thread in it is not what was written")
        yield from self.checked()

    def has_any(self, texts: Sequence[bytes]) -> bool:
        """Whether one of the texts stands anywhere in it, as records spell it. Raises Damaged."""
        if not texts:
            return False
        wanted = re.compile(b"|".join(map(re.escape, texts)))
        return any(wanted.search(self._text(frame)) for frame in self.entry.frames)

    def check(self) -> None:
        """Read all of the thread. Raises Damaged."""
        for _ in self.checked_lines():
            pass

    def _frames(self, kind: str, after: int, before: int | None) -> list[list[Any]]:
        """The frames that can hold such records: frames are in the order of kind and position."""
        starts = [(records.RANK[frame[2]], frame[3]) for frame in self.entry.frames]
        rank = records.RANK[kind]
        first = max(0, bisect_right(starts, (rank, after + 1)) - 1) if kind == "message" else self._first(starts, rank)
        end = (rank, before) if kind == "message" and before is not None else (rank + 1, -1)
        return [frame for frame, start in zip(self.entry.frames, starts, strict=True) if start < end][first:]

    @staticmethod
    def _first(starts: list[tuple[int, int]], rank: int) -> int:
        earlier = [number for number, start in enumerate(starts) if start < (rank, 0)]
        return earlier[-1] if earlier else 0

    def _text(self, frame: list[Any]) -> bytes:
        try:
            packed = self._packed(frame)
            if zstandard.frame_content_size(packed) > FRAME_LIMIT:  # else so much is reserved, whatever limit is given
                raise Damaged(self.path, "a frame says that it holds more than any that was written")
            return self.decompressor.decompress(packed, max_output_size=FRAME_LIMIT)
        except (OSError, vault.UnsafePath, zstandard.ZstdError) as error:
            raise Damaged(self.path, str(error) or type(error).__name__) from error

    def _packed(self, frame: list[Any]) -> bytes:
        """A frame as it stands in the file. A file that has gone may have been rewritten a moment ago: then the
        catalogue knows where the same frame is now."""
        try:
            return self._bytes(self.path, frame)
        except FileNotFoundError:
            if self.stays:
                raise
            number = self.entry.frames.index(frame)
            moved = BundledThread.objects.filter(
                thread_id=self.entry.thread_id, workspace_id=self.entry.workspace_id, sha256=self.entry.sha256
            ).first()
            path = Bundle.objects.filter(pk=moved.bundle_id).values_list("path", flat=True).first() if moved else None
            if moved is None or path is None or path == self.path or len(moved.frames) != len(self.entry.frames):
                raise
            return self._bytes(path, moved.frames[number])

    @staticmethod
    def _bytes(path: str, frame: list[Any]) -> bytes:
        return vault.read_part(f"{path}/{THREADS}", int(frame[0]), int(frame[1]))
