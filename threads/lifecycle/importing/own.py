"""Reading an export of threadhub's own: a zip with a bundle of `threadhub-archive/1` and the files beside it. All of it
is compared with its manifest before a record is used; nothing is unpacked under a name that the file chose."""

import re
import zipfile
from collections.abc import Iterator
from typing import IO, Any
from uuid import UUID

import zstandard

from threadhub.lib import ids, json
from threadhub.workspaces.models import Workspace
from threads.lifecycle.bundles import manifest, records, verify
from threads.lifecycle.importing.refusal import ImportRefused
from threads.models import Attachment

NAME = re.compile(r"manifest\.json|threads\.jsonl\.zst|attachments/file_[0-9a-z]{26}", re.ASCII)
RATIO, ALLOWED = 1_000, 64 * 2**20  # how much more than its file a bundle may say it holds: a bomb says more
READ_BYTES = 2**20
MAX_FILE = 2**30


class OwnExport:
    """An open export, verified."""

    def __init__(self, archive: zipfile.ZipFile) -> None:
        self.archive = archive
        names = archive.namelist()
        if len(set(names)) != len(names) or not all(NAME.fullmatch(name) for name in names):
            raise ImportRefused("The file holds names that no export has.")
        try:
            with archive.open(manifest.MANIFEST) as file:
                self.manifest = manifest.decode(file.read(manifest.MAX_BYTES))
            self.workspace_id = ids.decode(Workspace.PREFIX, self.manifest["workspace"])
            self.entries = [(manifest.entry_id(each), each) for each in self.manifest["threads"]]
            self._verify()
        except (KeyError, IndexError, TypeError, ValueError, OSError, zipfile.BadZipFile, zstandard.ZstdError) as error:
            raise ImportRefused(f"The file is no whole export: {error}.") from error
        except verify.Damaged as error:
            raise ImportRefused(f"The export is damaged: {error.what}.") from error

    def threads(self) -> Iterator[tuple[UUID, Iterator[dict[str, Any]]]]:
        """Each thread's id and records. The records of one are read before the next is asked for."""
        with self.archive.open(manifest.THREADS) as packed:
            reader = zstandard.ZstdDecompressor().stream_reader(packed, read_across_frames=True)
            for thread_id, entry in self.entries:
                left = _lines(reader, int(entry["size"]))
                yield thread_id, (self._record(line) for line in left)

    def file(self, attachment_id: UUID) -> IO[bytes] | None:
        """A file of an attachment; None for one that is not in the export."""
        try:
            info = self.archive.getinfo(f"attachments/{ids.encode(Attachment.PREFIX, attachment_id)}")
        except KeyError:
            return None
        if info.file_size > MAX_FILE:
            raise ImportRefused("A file in the export is too large.")
        return self.archive.open(info)

    def _verify(self) -> None:
        found = self.manifest
        size = self.archive.getinfo(manifest.THREADS).file_size
        if sum(int(entry["size"]) for _, entry in self.entries) > RATIO * size + ALLOWED:
            raise ImportRefused("The export says it holds more than its file can.")
        previous = found.get("previous_manifest_sha256") or ""
        with self.archive.open(manifest.THREADS) as file:
            content, digest = verify.stream("the export", file, [entry for _, entry in self.entries])
        listed = found["files"][0]
        if content != found["content_sha256"] or (digest, size) != (listed["sha256"], listed["size"]):
            raise ImportRefused("The export is not what its manifest says.")
        if found["name"] != manifest.name_of(content, previous):
            raise ImportRefused("The export's name is not that of its content.")

    @staticmethod
    def _record(line: bytes) -> dict[str, Any]:
        try:
            record = json.loads(line)
        except (json.MalformedJSON, json.RefusedJSON) as error:
            raise ImportRefused(f"A record cannot be kept: {error}") from error
        if not isinstance(record, dict) or record.get("type") not in records.RANK:
            raise ImportRefused("A record is of no type that this version knows.")
        return record


def _lines(reader: Any, size: int) -> Iterator[bytes]:
    rest = b""
    while size:
        part = reader.read(min(size, READ_BYTES))
        size -= len(part)
        *ended, rest = (rest + part).split(b"\n")
        yield from ended
