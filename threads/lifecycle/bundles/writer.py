"""Writing the threads of a bundle: line by line, in frames of a few megabytes, so that memory does not grow with what
is archived, and so that a page of a giant thread can be read without all of it.

A thread begins a frame; `zstd -dc` reads the frames of a file as one text. Frames are packed beside the thread that
collects their lines: compressing takes as long as reading.
"""

import hashlib
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import IO, Any, NamedTuple
from uuid import UUID

import orjson
import zstandard

LEVEL = 3  # 6 takes three times as long for a fortieth less
FRAME_BYTES = 4 * 2**20  # uncompressed; a frame ends with the line that passes it
WAITING_BYTES = 2 * FRAME_BYTES  # of text that is to be packed


@dataclass(slots=True)
class Written:
    """Where a thread stands in a bundle, and what it is."""

    thread_id: UUID
    sha256: str
    size: int  # uncompressed bytes
    counts: dict[str, int] = field(default_factory=dict)
    frames: list[list[Any]] = field(default_factory=list)  # [offset, length, kind, position] of the first line
    files: list[str] = field(default_factory=list)
    good: int = 0  # opinions
    bad: int = 0

    def rate(self, rating: int) -> None:
        """An opinion is among its lines."""
        self.good += rating > 0
        self.bad += rating < 0


class Line(NamedTuple):
    """A line with what the index of frames and the counts need of it."""

    kind: str
    position: int  # of a message; 0 of anything else
    text: bytes
    file: str = ""  # of an attachment


class BundleWriter:
    """Writes threads one after the other into an open file. What was added is in it, and its hashes are known, once the
    `with` is over. The file is written by the thread that adds."""

    def __init__(self, file: IO[bytes]) -> None:
        self.file = file
        self.compressor = zstandard.ZstdCompressor(level=LEVEL, write_content_size=True, write_checksum=True)
        self.offset = 0
        self.file_hash = hashlib.sha256()
        self.content_hash = hashlib.sha256()
        self.threads: list[Written] = []
        self.packer = ThreadPoolExecutor(1, "pack")
        self.frames: deque[_Frame] = deque()  # that are not written yet
        self.waiting = 0  # bytes of their texts

    def __enter__(self) -> "BundleWriter":
        return self

    def __exit__(self, failed: type[BaseException] | None, *more: object) -> None:
        try:
            while failed is None and self.frames:
                self._write(self.frames.popleft())
        finally:
            self.packer.shutdown(cancel_futures=True)

    def add(self, thread_id: UUID, lines: Iterable[Line]) -> None:
        """Write a thread. Raises OSError, of this thread or one before."""
        written = Written(thread_id, "", 0)
        whole = hashlib.sha256()
        for frame in _frames(lines):
            text = b"".join([line.text for line in frame])
            for line in frame:
                written.counts[line.kind] = written.counts.get(line.kind, 0) + 1
                if line.file:
                    written.files.append(line.file)
                if line.kind == "feedback":
                    written.rate(orjson.loads(line.text)["rating"])
            written.size += len(text)
            packed = self.packer.submit(self._pack, text, whole)
            self.frames.append(_Frame(written, frame[0].kind, frame[0].position, len(text), packed))
            self.waiting += len(text)
            while self.waiting > WAITING_BYTES:
                self._write(self.frames.popleft())
        self.threads.append(written)

    def _pack(self, text: bytes, whole: Any) -> tuple[bytes, str]:
        """The frame, and the hash of its thread up to its end."""
        whole.update(text)
        self.content_hash.update(text)
        return self.compressor.compress(text), whole.hexdigest()

    def _write(self, frame: "_Frame") -> None:
        data, frame.written.sha256 = frame.packed.result()
        self.waiting -= frame.size
        frame.written.frames.append([self.offset, len(data), frame.kind, frame.position])
        self.file.write(data)
        self.file_hash.update(data)
        self.offset += len(data)


class _Frame(NamedTuple):
    """A frame that is being packed; `kind` and `position` of its first line, `size` of its text."""

    written: Written
    kind: str
    position: int
    size: int
    packed: Future[tuple[bytes, str]]


def _frames(lines: Iterable[Line]) -> Iterator[list[Line]]:
    frame: list[Line] = []
    size = 0
    for line in lines:
        frame.append(line)
        size += len(line.text)
        if size >= FRAME_BYTES:
            yield frame
            frame, size = [], 0
    if frame:
        yield frame
