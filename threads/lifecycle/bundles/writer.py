"""Writing the threads of a bundle: line by line, in frames of a few megabytes, so that memory does not grow with what
is archived, and so that a page of a giant thread can be read without all of it.

A thread begins a frame; `zstd -dc` reads the frames of a file as one text.
"""

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import IO, Any, NamedTuple
from uuid import UUID

import zstandard

LEVEL = 3  # 6 takes three times as long for a fortieth less
FRAME_BYTES = 4 * 2**20  # uncompressed; a frame ends with the line that passes it


@dataclass(slots=True)
class Written:
    """Where a thread stands in a bundle, and what it is."""

    thread_id: UUID
    sha256: str
    size: int  # uncompressed bytes
    counts: dict[str, int] = field(default_factory=dict)
    frames: list[list[Any]] = field(default_factory=list)  # [offset, length, kind, position] of the first line
    files: list[str] = field(default_factory=list)


class Line(NamedTuple):
    """A line with what the index of frames and the counts need of it."""

    kind: str
    position: int  # of a message; 0 of anything else
    text: bytes
    file: str = ""  # of an attachment


class BundleWriter:
    """Writes threads one after the other into an open file."""

    def __init__(self, file: IO[bytes]) -> None:
        self.file = file
        self.compressor = zstandard.ZstdCompressor(level=LEVEL, write_content_size=True, write_checksum=True)
        self.offset = 0
        self.file_hash = hashlib.sha256()
        self.content_hash = hashlib.sha256()
        self.threads: list[Written] = []

    def add(self, thread_id: UUID, lines: Iterable[Line]) -> Written:
        """Write a thread."""
        whole = hashlib.sha256()
        written = Written(thread_id, "", 0)
        for frame in _frames(lines):
            text = b"".join(line.text for line in frame)
            for line in frame:
                written.counts[line.kind] = written.counts.get(line.kind, 0) + 1
                if line.file:
                    written.files.append(line.file)
            whole.update(text)
            self.content_hash.update(text)
            written.size += len(text)
            packed = self.compressor.compress(text)
            written.frames.append([self.offset, len(packed), frame[0].kind, frame[0].position])
            self._write(packed)
        written.sha256 = whole.hexdigest()
        self.threads.append(written)
        return written

    def _write(self, data: bytes) -> None:
        self.file.write(data)
        self.file_hash.update(data)
        self.offset += len(data)


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
