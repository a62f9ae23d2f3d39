"""A hostile file leaves nothing."""

import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import zstandard
from django.core.files.storage import default_storage

from tests.conftest import Tenant
from tests.lifecycle.transfers import bring_in, export, remove_all, whole_thread
from threads.lifecycle.bundles import manifest
from threads.lifecycle.importing import imports
from threads.lifecycle.importing.refusal import ImportRefused
from threads.models import Attachment, Message, Thread


class TestHostileFiles:
    @pytest.fixture
    def data(self, tenant: Tenant) -> bytes:
        whole_thread(tenant)
        data = export(tenant)
        remove_all(tenant)
        return data

    def altered(self, data: bytes, **changes: bytes | None) -> bytes:
        out = io.BytesIO()
        with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(out, "w") as new:
            parts = {name: old.read(name) for name in old.namelist()}
            parts |= {name.replace("__", "."): content for name, content in changes.items() if content is not None}
            for name, content in parts.items():
                if name not in {key.replace("__", ".") for key, value in changes.items() if value is None}:
                    new.writestr(name, content)
        return out.getvalue()

    def forged(self, data: bytes, change: Callable[[list[dict[str, Any]]], Any], **heads: Any) -> bytes:
        """A whole export of other records: whoever forges one makes its hashes right."""
        import hashlib

        with zipfile.ZipFile(io.BytesIO(data)) as old:
            head = json.loads(old.read("manifest.json"))
            text = zstandard.ZstdDecompressor().stream_reader(old.read("threads.jsonl.zst"), read_across_frames=True)
            lines = [json.loads(line) for line in text.read().splitlines()]
        change(lines)
        body = b"".join(json.dumps(line).encode() + b"\n" for line in lines)
        packed = zstandard.compress(body)
        counts: dict[str, int] = {}
        for line in lines:
            counts[line.get("type", "?")] = counts.get(line.get("type", "?"), 0) + 1
        digest = hashlib.sha256(body).hexdigest()
        head["threads"][0] |= {"sha256": digest, "size": len(body), "counts": counts}
        head["files"][0] |= {"sha256": hashlib.sha256(packed).hexdigest(), "size": len(packed)}
        head |= {"content_sha256": digest, "name": manifest.name_of(digest, ""), **heads}
        return self.altered(data, manifest__json=json.dumps(head).encode(), threads__jsonl__zst=packed)

    def refused(self, tenant: Tenant, data: bytes) -> None:
        before = sorted(str(path) for path in Path(default_storage.path("")).rglob("*") if path.is_file())
        with pytest.raises((ImportRefused, imports.staging.RestoreConflict)):
            bring_in(tenant, data)
        assert (Thread.objects.count(), Message.objects.count(), Attachment.objects.count()) == (0, 0, 0)
        assert sorted(str(path) for path in Path(default_storage.path("")).rglob("*") if path.is_file()) == before

    def test_an_honest_forgery_comes_in(self, tenant: Tenant, data: bytes) -> None:
        assert bring_in(tenant, self.forged(data, lambda lines: None)).messages == 6

    @pytest.mark.parametrize(
        "name", ["../evil", "/etc/passwd", "attachments/../x", "attachments/file_x", "a\\b", "threads.jsonl.zst/x"]
    )
    def test_names_that_lead_elsewhere(self, tenant: Tenant, data: bytes, name: str) -> None:
        self.refused(tenant, self.altered(data, **{name: b"x"}))

    @pytest.mark.parametrize("at", [0.1, 0.3, 0.5, 0.7, 0.9])
    def test_a_flipped_bit(self, tenant: Tenant, data: bytes, at: float) -> None:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            packed = archive.read("threads.jsonl.zst")
        where = int(len(packed) * at)
        broken = packed[:where] + bytes([packed[where] ^ 1]) + packed[where + 1 :]
        self.refused(tenant, self.altered(data, threads__jsonl__zst=broken))

    @pytest.mark.parametrize("part", ["manifest__json", "threads__jsonl__zst"])
    def test_missing_parts(self, tenant: Tenant, data: bytes, part: str) -> None:
        self.refused(tenant, self.altered(data, **{part: None}))

    def test_a_bomb(self, tenant: Tenant, data: bytes) -> None:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            head = json.loads(archive.read("manifest.json"))
        head["threads"][0]["size"] = 2**40
        self.refused(tenant, self.altered(data, manifest__json=json.dumps(head).encode()))

    @pytest.mark.parametrize("version", ["threadhub-archive/2", "", None, "zip"])
    def test_an_unknown_version(self, tenant: Tenant, data: bytes, version: Any) -> None:
        self.refused(tenant, self.forged(data, lambda lines: None, format=version))

    @pytest.mark.parametrize(
        "change",
        [
            {"content": "a\x00b"},
            {"content": "\ud800"},
            {"extra": {"n": 2**64}},
            {"extra": {"n": 10**400}},
            {"position": 2**40},
            {"position": 0},
            {"position": "one"},
            {"role": "emperor"},
            {"type": "virus"},
            {"colour": "red"},
            {"workspace_id": "01a20000-0000-7000-8000-000000000000"},
            {"thread_id": "01a20000-0000-7000-8000-000000000000"},
            {"id": "no id"},
            {"created_at": "yesterday"},
            {"content": {"a": 1}},
            {"content": ["a", "b"]},
            {"position": [1]},
        ],
        ids=str,
    )
    def test_a_record_that_is_none(self, tenant: Tenant, data: bytes, change: dict[str, Any]) -> None:
        self.refused(tenant, self.forged(data, lambda lines: lines[1].update(change)))

    def test_records_in_disorder_or_doubled(self, tenant: Tenant, data: bytes) -> None:
        self.refused(tenant, self.forged(data, lambda lines: lines.reverse()))
        self.refused(tenant, self.forged(data, lambda lines: lines.insert(1, dict(lines[1]))))
        self.refused(tenant, self.forged(data, lambda lines: lines.insert(1, dict(lines[0]))))
        self.refused(tenant, self.forged(data, lambda lines: lines.pop(0)))

    def test_a_file_that_is_another(self, tenant: Tenant, data: bytes) -> None:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            (name,) = [name for name in archive.namelist() if name.startswith("attachments/")]
        self.refused(tenant, self.altered(data, **{name: b"evil"}))
        self.refused(tenant, self.altered(data, **{name: None}))

    @pytest.mark.parametrize(
        "text", [b"", b"{}", b"[1]", b"null", b'[{"mapping": 5}]', b"\xff", b"PK\x03\x04", b"[" * 99]
    )
    def test_what_is_no_export(self, tenant: Tenant, text: bytes) -> None:
        with pytest.raises(ImportRefused):
            bring_in(tenant, text, agent_id=tenant.agent.pk)
