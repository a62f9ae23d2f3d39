"""Reading a bundle to prove it: hashes, sizes and counts, of the file and of each thread in it."""

import hashlib
import json
from dataclasses import dataclass, field
from typing import IO, Any
from uuid import UUID

import orjson
import zstandard

from threadhub.lib.errors import Failed
from threads.lifecycle.bundles import manifest, records, vault
from threads.lifecycle.bundles.manifest import MANIFEST, THREADS

MAX_LINE = 256 * 2**20
READ_BYTES = 2**20
TYPE = b'"type":"'


class Damaged(Failed):
    """A bundle is missing or damaged; nothing was changed."""

    code = "bundle_damaged"

    def __init__(self, path: str, what: str) -> None:
        super().__init__(f"The bundle {path} is damaged: {what}.")
        self.path, self.what = path, what


@dataclass(slots=True)
class Checked:
    """What was proved of a bundle: the hash of its manifest, and of each thread's lines."""

    manifest_sha256: str
    previous: str
    threads: dict[UUID, str] = field(default_factory=dict)
    messages: int = 0


def load_manifest(*, path: str, workspace: str) -> tuple[dict[str, Any], str]:
    """A bundle's manifest and its hash. Raises Damaged for a missing or foreign one."""
    try:
        with vault.read(f"{path}/{MANIFEST}") as file:
            text = file.read(manifest.MAX_BYTES)
        found = manifest.decode(text)
    except (OSError, vault.UnsafePath, manifest.BadManifest) as error:
        raise Damaged(path, str(error) or type(error).__name__) from error
    if found.get("workspace") != workspace:
        raise Damaged(path, "it is of another workspace")
    return found, hashlib.sha256(text).hexdigest()


def whole(*, path: str, workspace: str) -> Checked:
    """Re-read all of a bundle. Raises Damaged with the first thing that is not as the manifest says."""
    found, digest = load_manifest(path=path, workspace=workspace)
    previous = found.get("previous_manifest_sha256") or ""
    if found.get("name") != manifest.name_of(found.get("content_sha256", ""), previous):
        raise Damaged(path, "its name is not that of its content")
    checked = Checked(digest, previous)
    try:
        listed = found["files"][0]
        with vault.read(f"{path}/{THREADS}") as file:
            source = _Counted(file)
            content = _threads(path, source, found["threads"], checked)
        if (source.size, source.hash.hexdigest()) != (listed["size"], listed["sha256"]):
            raise Damaged(path, "its file is not the one that was written")
        if content != found["content_sha256"]:
            raise Damaged(path, "its content is not what was written")
    except (OSError, vault.UnsafePath, zstandard.ZstdError) as error:
        raise Damaged(path, str(error) or type(error).__name__) from error
    except (KeyError, IndexError, TypeError, manifest.BadManifest, records.BadRecord) as error:
        raise Damaged(path, f"its manifest cannot be read ({error})") from error
    return checked


def stream(path: str, file: Any, entries: list[dict[str, Any]]) -> tuple[str, str]:
    """Compare the threads of an open file with the entries of a manifest; the hashes of their lines and of the file.
    Raises Damaged."""
    source = _Counted(file)
    content = _threads(path, source, entries, Checked("", ""))
    return content, source.hash.hexdigest()


class _Counted:
    """A file that is hashed while it is read."""

    def __init__(self, file: IO[bytes]) -> None:
        self.file = file
        self.hash = hashlib.sha256()
        self.size = 0

    def read(self, size: int = -1) -> bytes:
        data = self.file.read(size)
        self.hash.update(data)
        self.size += len(data)
        return data


def _threads(path: str, source: _Counted, entries: list[dict[str, Any]], checked: Checked) -> str:
    """Compare each thread with its entry; the hash of all their lines. Never reads more than the entries promise, so
    that a small file cannot become a huge one."""
    content = hashlib.sha256()
    reader = zstandard.ZstdDecompressor().stream_reader(source, read_across_frames=True)  # type: ignore[arg-type]
    for entry in entries:
        lines = hashlib.sha256()
        counts: dict[str, int] = {}
        left, rest = int(entry["size"]), b""
        while left:
            part = reader.read(min(left, READ_BYTES))
            if not part:
                raise Damaged(path, "it ends too early")
            left -= len(part)
            lines.update(part)
            content.update(part)
            *ended, rest = (rest + part).split(b"\n")
            if len(rest) > MAX_LINE:
                raise Damaged(path, "a line of it never ends")
            for line in ended:
                kind = _kind(line)
                counts[kind] = counts.get(kind, 0) + 1
        thread_id = manifest.entry_id(entry)
        if rest or lines.hexdigest() != entry["sha256"] or counts != entry["counts"]:
            raise Damaged(path, f"its thread {entry['id']} is not what was written")
        checked.threads[thread_id] = entry["sha256"]
        checked.messages += counts.get("message", 0)
    if reader.read(1):
        raise Damaged(path, "it holds more than its manifest says")
    while source.read(READ_BYTES):
        pass
    return content.hexdigest()


def _kind(line: bytes) -> str:
    """The type of a line. It is among the last of the sorted keys; where a key within says the same, and in JSON with
    spaces, the line is parsed."""
    _, _, after = line.partition(TYPE)
    name = after.partition(b'"')[0].decode(errors="replace")
    if name in records.RANK and TYPE not in after:
        return name
    try:
        kind = _record(line)["type"]
    except (ValueError, KeyError, TypeError) as error:
        raise records.BadRecord("a line is no record") from error
    if kind not in records.RANK:
        raise records.BadRecord(f"a line is of the unknown type {kind!r}")
    return str(kind)


def _record(line: bytes) -> Any:
    try:
        return orjson.loads(line)
    except orjson.JSONDecodeError:  # deeper than it goes
        return json.loads(line)
