"""The manifest of a bundle: what is in it, how to prove it, and the hash of the manifest before it.

`versions` says which release wrote it and how its records are laid out. A new column is no new layout: a record names
its columns.
"""

import hashlib
import json
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from threadhub.lib import ids
from threadhub.lib.version import VERSION
from threads.lifecycle.bundles import records
from threads.lifecycle.bundles.writer import Written
from threads.models import Thread

FORMAT = "threadhub-archive/1"
THREADS = "threads.jsonl.zst"
MANIFEST = "manifest.json"
MAX_BYTES = 64 * 2**20


class BadManifest(ValueError):
    """A manifest that this version cannot read."""


@dataclass(frozen=True, slots=True)
class Range:
    """The first and the last moment of what is archived, as in the records."""

    first: str
    last: str


def name_of(content_sha256: str, previous: str) -> str:
    """A bundle's name: by its content and by what stands before it in the chain. A retry writes the same."""
    return hashlib.sha256(f"{previous}:{content_sha256}".encode()).hexdigest()


def encode(
    *,
    workspace: str,
    content_sha256: str,
    previous: str,
    file_sha256: str,
    file_size: int,
    threads: list[Written],
    span: Range,
) -> bytes:
    """The manifest as it is written: sorted keys, nothing in it that another try would write otherwise."""
    counts: dict[str, int] = {}
    for thread in threads:
        for kind, count in thread.counts.items():
            counts[kind] = counts.get(kind, 0) + count
    manifest = {
        "format": FORMAT,
        "versions": {"product": VERSION, "records": records.LAYOUT},
        "workspace": workspace,
        "name": name_of(content_sha256, previous),
        "content_sha256": content_sha256,
        "previous_manifest_sha256": previous or None,
        "files": [{"name": THREADS, "sha256": file_sha256, "size": file_size}],
        "counts": counts,
        "time_range": {"first": span.first, "last": span.last},
        "threads": [_entry(thread) for thread in threads],
    }
    return json.dumps(manifest, sort_keys=True, indent=1).encode() + b"\n"


def decode(text: bytes) -> dict[str, Any]:
    """A manifest of this format. Raises BadManifest."""
    try:
        manifest = json.loads(text)
    except ValueError as error:
        raise BadManifest("the manifest is not JSON") from error
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        raise BadManifest(f"the manifest is not of the format {FORMAT}")
    _check_layout(manifest)
    return manifest


def _check_layout(manifest: dict[str, Any]) -> None:
    """Bundles from before there were versions in it are of the first layout. Who wrote it does not matter."""
    versions = manifest.get("versions", {})
    layout = versions.get("records", records.FIRST_LAYOUT) if isinstance(versions, dict) else None
    if type(layout) is not int or not records.FIRST_LAYOUT <= layout <= records.LAYOUT:
        raise BadManifest(f"its records are of a layout that this version does not know: {layout!r}")


def entry_id(entry: dict[str, Any]) -> UUID:
    """The thread of a manifest's entry. Raises BadManifest."""
    try:
        return ids.decode(Thread.PREFIX, entry["id"])
    except (KeyError, TypeError, ids.InvalidId) as error:
        raise BadManifest("an entry of the manifest names no thread") from error


def _entry(thread: Written) -> dict[str, Any]:
    return {
        "id": ids.encode(Thread.PREFIX, thread.thread_id),
        "sha256": thread.sha256,
        "size": thread.size,
        "counts": thread.counts,
        "offset": thread.frames[0][0],
        "length": sum(frame[1] for frame in thread.frames),
    }
