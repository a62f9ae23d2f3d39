"""Imports: what comes in is what went out, twice is once, and a hostile file leaves nothing."""

import io
import json
import shutil
import tempfile
import zipfile
from collections.abc import Callable
from datetime import timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
import zstandard
from django.core.files.storage import default_storage
from django.core.management import CommandError, call_command
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.conftest import Tenant
from tests.lifecycle.conftest import old_thread, policy, sweep
from tests.lifecycle.test_bundles import full_thread, rows
from tests.lifecycle.test_erase_person import erase
from threadhub.workspaces import actor as actors
from threads import branches
from threads.actions.messages import Draft, append
from threads.attachments import Upload
from threads.lifecycle import acts, purge
from threads.lifecycle.bundles import manifest
from threads.lifecycle.exporting import container, exports
from threads.lifecycle.importing import imports
from threads.lifecycle.importing.refusal import ImportRefused
from threads.models import Attachment, Branch, Message, Run, Summary, Thread, Tombstone

NOW = timezone.now


def export(tenant: Tenant) -> bytes:
    out = io.BytesIO()
    threads = exports.select(workspace_id=tenant.workspace.pk)
    container.write(out=out, workspace_id=tenant.workspace.pk, thread_ids=threads, format="jsonl")
    return out.getvalue()


def bring_in(tenant: Tenant, data: bytes, **options: Any) -> imports.Imported:
    with tempfile.NamedTemporaryFile() as file:
        file.write(data)
        file.flush()
        return imports.import_file(actor=actors.system(tenant.workspace.pk), path=Path(file.name), now=NOW(), **options)


def remove_all(tenant: Tenant) -> None:
    threads = exports.select(workspace_id=tenant.workspace.pk)
    for thread_id in threads:
        folder = f"{tenant.workspace.pk}/{thread_id}"
        if default_storage.exists(folder):
            for name in default_storage.listdir(folder)[1]:
                default_storage.delete(f"{folder}/{name}")
    purge.remove(workspace_id=tenant.workspace.pk, thread_ids=threads)


def whole_thread(tenant: Tenant) -> Thread:
    """With branches too; its runs' events are compacted, as archiving does."""
    thread = full_thread(tenant)
    from threads.runs import replay

    for run in Run.objects.all():
        replay.compact(run=run)
    locked = Thread.objects.select_for_update().get(pk=thread.pk)
    branches.fork(thread=locked, before=3, actor=tenant.actor, now=NOW())
    append(actor=tenant.actor, thread=locked, drafts=[Draft(role="user", content="otherwise")])
    thread.refresh_from_db()
    return thread


class TestRoundTrip:
    def test_a_thread_with_everything_comes_back_as_it_was(self, tenant: Tenant) -> None:
        thread = whole_thread(tenant)
        before, data = rows(thread), export(tenant)
        remove_all(tenant)
        assert Thread.objects.count() == 0
        done = bring_in(tenant, data)
        assert (done.threads, done.messages, dict(done.skipped)) == ([thread.pk], 6, {})
        assert rows(thread) == before
        assert export(tenant) == data
        with Attachment.objects.get().file.open("rb") as file:
            assert file.read() == b"file"

    def test_twice_adds_nothing(self, tenant: Tenant) -> None:
        thread = whole_thread(tenant)
        data = export(tenant)
        before = rows(thread)
        assert dict(bring_in(tenant, data).skipped) == {"present": 1}
        remove_all(tenant)
        bring_in(tenant, data)
        assert dict(bring_in(tenant, data).skipped) == {"present": 1}
        assert rows(thread) == before

    def test_into_another_workspace_ids_are_made_anew_and_are_the_same_each_time(
        self, tenant: Tenant, other_tenant: Tenant
    ) -> None:
        thread = whole_thread(tenant)
        data = export(tenant)
        with pytest.raises(ImportRefused, match="agent"):
            bring_in(other_tenant, data)
        assert Thread.objects.count() == 1
        done = bring_in(other_tenant, data, agent_id=other_tenant.agent.pk)
        assert dict(bring_in(other_tenant, data, agent_id=other_tenant.agent.pk).skipped) == {"present": 1}
        (copy,) = Thread.objects.filter(workspace=other_tenant.workspace)
        assert done.threads == [copy.pk] != [thread.pk]
        assert (copy.title, copy.metadata, copy.path) == (thread.title, thread.metadata, thread.path)
        told = [(m.position, m.content, m.created_at) for m in Message.objects.of_all_branches(thread)]
        assert [(m.position, m.content, m.created_at) for m in Message.objects.of_all_branches(copy)] == told
        run = Run.objects.get(thread=copy)
        assert Message.objects.filter(thread=copy, pk=run.answer_id).exists()
        first = export(other_tenant)
        remove_all(other_tenant)
        bring_in(other_tenant, first)
        assert export(other_tenant) == first

    def test_archived_threads_are_exported_from_their_bundle(self, tenant: Tenant) -> None:
        thread = whole_thread(tenant)
        live = export(tenant)
        acts.archive(actor=tenant.actor, thread=thread, now=NOW())
        assert export(tenant) == live

    def test_no_policy_takes_it_the_same_night(self, tenant: Tenant) -> None:
        thread = old_thread(tenant, 500)
        data = export(tenant)
        remove_all(tenant)
        bring_in(tenant, data)
        policy(tenant)
        assert dict(sweep(tenant).skips) == {"exempt": 1}
        assert sweep(tenant, after=timedelta(days=8), brake=False).taken == 1
        assert Tombstone.objects.get().thread_id == thread.pk
        bring_in(tenant, data)  # purged once, asked for again
        assert sweep(tenant, after=timedelta(days=8), brake=False).taken == 1

    def test_a_dry_run_writes_nothing(self, tenant: Tenant) -> None:
        whole_thread(tenant)
        data = export(tenant)
        remove_all(tenant)
        assert len(bring_in(tenant, data, dry_run=True).threads) == 1
        assert (Thread.objects.count(), Message.objects.count(), Attachment.objects.count()) == (0, 0, 0)


texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=40)
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)
calls = st.lists(
    st.fixed_dictionaries({"id": texts, "name": texts, "arguments": st.dictionaries(texts, values, max_size=2)}),
    min_size=1,
    max_size=2,
)
drafts = st.one_of(
    st.builds(Draft, role=st.sampled_from(["user", "system"]), content=texts, name=st.none() | texts),
    st.builds(Draft, role=st.just("assistant"), content=st.none() | texts, tool_calls=calls),
    st.builds(Draft, role=st.just("tool"), tool_call_id=texts, tool_result=values.filter(lambda v: v is not None)),
    st.builds(
        Draft,
        role=st.just("user"),
        content=texts,
        uploads=st.lists(st.builds(Upload, texts, st.just("text/plain"), st.binary(max_size=50)), max_size=2),
    ),
)
some_threads = st.lists(
    st.tuples(st.lists(drafts, max_size=5), st.integers(0, 5), st.dictionaries(texts, values, max_size=2), texts),
    min_size=1,
    max_size=3,
)


@given(wanted=some_threads)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_goes_out_comes_back(tenant: Tenant, wanted: list[Any]) -> None:
    Thread.objects.all().delete()
    for said, fork, metadata, title in wanted:
        thread = old_thread(tenant, 1, messages=0, metadata=metadata, title=title)
        append(actor=tenant.actor, thread=thread, drafts=[Draft(**{**vars_of(each), "id": None}) for each in said])
        if 0 < fork <= len(said):
            locked = Thread.objects.select_for_update().get(pk=thread.pk)
            branches.fork(thread=locked, before=fork, actor=tenant.actor, now=NOW())
            append(actor=tenant.actor, thread=locked, drafts=[Draft(role="user", content="else")])
    data = export(tenant)
    remove_all(tenant)
    bring_in(tenant, data)
    assert export(tenant) == data
    remove_all(tenant)


def vars_of(draft: Draft) -> dict[str, Any]:
    return {name: getattr(draft, name) for name in Draft.__dataclass_fields__}


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


def node(name: str, parent: str | None, role: str = "user", text: str | None = None, at: float = 1.5) -> Any:
    message = {
        "author": {"role": role, "name": None},
        "create_time": 1700000000 + at,
        "content": {"content_type": "text", "parts": [name if text is None else text]},
        "recipient": "all",
    }
    return {"id": name, "parent": parent, "children": [], "message": None if role == "root" else message}


def conversation(nodes: list[Any], current: str, **more: Any) -> bytes:
    mapping = {each["id"]: each for each in nodes}
    made = {"id": "c1", "title": "Café", "create_time": 1700000000.25, "mapping": mapping, "current_node": current}
    return json.dumps([{**made, **more}]).encode()


TREE = [
    node("root", None, "root"),
    node("sys", "root", "system", ""),
    node("q1", "sys"),
    node("a1", "q1", "assistant"),
    node("a1b", "q1", "assistant"),
    node("q2", "a1"),
    node("a2", "q2", "assistant"),
    node("q2b", "a1b"),
]


class TestChatGpt:
    def said(self, thread: Thread) -> list[str | None]:
        return list(Message.objects.of_thread(thread).values_list("content", flat=True))

    def test_a_tree_becomes_branches(self, tenant: Tenant) -> None:
        data = conversation(TREE, "a2")
        bring_in(tenant, data, agent_id=tenant.agent.pk)
        thread = Thread.objects.get()
        assert (thread.title, thread.metadata["conversation_id"], thread.message_count) == ("Café", "c1", 4)
        assert self.said(thread) == ["q1", "a1", "q2", "a2"]
        assert Message.objects.get(content="q1").created_at.timestamp() == 1700000001.5
        other, active = branches.of_thread(thread)
        assert (other.parent, active.number, thread.branch, active.from_position) == (None, 2, 2, 1)
        branches.activate(thread=thread, branch=other, now=NOW())
        assert self.said(thread) == ["q1", "a1b", "q2b"]
        append(actor=tenant.actor, thread=thread, drafts=[Draft(role="user", content="more")])
        assert self.said(thread) == ["q1", "a1b", "q2b", "more"]
        assert dict(bring_in(tenant, data, agent_id=tenant.agent.pk).skipped) == {"present": 1}

    def test_a_plain_conversation_has_no_branches(self, tenant: Tenant) -> None:
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w") as archive:
            archive.writestr("conversations.json", conversation(TREE[:4], "a1"))
            archive.writestr("chat.html", "<p>")
        bring_in(tenant, out.getvalue(), agent_id=tenant.agent.pk)
        thread = Thread.objects.get()
        assert (thread.path, self.said(thread), Branch.objects.count()) == (None, ["q1", "a1"], 0)

    @pytest.mark.parametrize(
        "data",
        [
            conversation([node("a", "b"), node("b", "a")], "a"),
            conversation([node("a", "gone")], "a"),
            conversation([node("a", None)], "gone"),
            conversation([node("a", None, "wizard")], "a"),
            conversation([node("a", None, text="\x00")], "a"),
            conversation([node("a", None, at=float("inf"))], "a"),
            conversation([node("a", None, at=1e12)], "a"),
            conversation([node("a", None)], "a", create_time=None),
            conversation([node("a", None)], "a", title=7),
        ],
    )
    def test_what_is_no_tree_is_refused(self, tenant: Tenant, data: bytes) -> None:
        with pytest.raises(ImportRefused):
            bring_in(tenant, data, agent_id=tenant.agent.pk)
        assert Thread.objects.count() == 0

    def test_it_wants_an_agent(self, tenant: Tenant) -> None:
        with pytest.raises(ImportRefused, match="agent"):
            bring_in(tenant, conversation(TREE, "a2"))


class TestAssistants:
    def listed(self, *texts: str, **more: Any) -> bytes:
        messages = [
            {
                "id": f"msg_{at}",
                "object": "thread.message",
                "created_at": 1700000000 + at,
                "role": ("user", "assistant")[at % 2],
                "content": [{"type": "text", "text": {"value": text, "annotations": []}}],
                "metadata": {},
                "run_id": None,
            }
            for at, text in enumerate(texts)
        ]
        listed = {"object": "list", "data": messages[::-1], "has_more": False, **more}
        return json.dumps(
            {"thread": {"id": "thread_abc", "created_at": 1700000000, "metadata": {"plan": "x"}}, "messages": listed}
        ).encode()

    def test_the_newest_first_becomes_the_last(self, tenant: Tenant) -> None:
        bring_in(tenant, self.listed("hi", "hello", "bye"), agent_id=tenant.agent.pk)
        thread = Thread.objects.get()
        assert list(Message.objects.of_thread(thread).values_list("content", flat=True)) == ["hi", "hello", "bye"]
        assert thread.metadata == {"imported_from": "assistants", "thread_id": "thread_abc", "plan": "x"}
        assert dict(bring_in(tenant, self.listed("hi", "hello", "bye"), agent_id=tenant.agent.pk).skipped) == {
            "present": 1
        }

    def test_half_a_list_is_refused(self, tenant: Tenant) -> None:
        with pytest.raises(ImportRefused, match="not whole"):
            bring_in(tenant, self.listed("hi", has_more=True), agent_id=tenant.agent.pk)


def test_who_was_erased_stays_erased(tenant: Tenant, other_tenant: Tenant) -> None:
    old_thread(tenant, external_ref="gone")
    kept = old_thread(tenant, external_ref="kept")
    data = export(tenant)
    erase(tenant, "external_ref", "gone")
    remove_all(tenant)
    done = bring_in(tenant, data)
    assert (done.threads, dict(done.skipped)) == ([kept.pk], {"erased": 1})
    Tombstone.objects.all().delete()
    assert dict(bring_in(tenant, data).skipped) == {"erased": 1, "present": 1}


def test_the_command(tenant: Tenant, tmp_path: Path) -> None:
    old_thread(tenant)
    (tmp_path / "a.zip").write_bytes(export(tenant))
    remove_all(tenant)
    workspace = f"--workspace={tenant.workspace.wire_id}"

    def run(*options: str) -> Any:
        out = StringIO()
        call_command("import_threads", *options, "--json", stdout=out, stderr=StringIO())
        return json.loads(out.getvalue())

    def code(*options: str) -> int:
        with pytest.raises(CommandError) as ended:
            call_command("import_threads", *options, stdout=StringIO(), stderr=StringIO())
        return int(ended.value.returncode)

    assert code(f"{tmp_path}/a.zip", "--yes") == 2
    assert code(f"{tmp_path}/none.zip", workspace, "--yes") == 2
    assert code(f"{tmp_path}/a.zip", workspace) == 2
    assert run(f"{tmp_path}/a.zip", workspace, "--dry-run")["threads"] == 1
    assert Thread.objects.count() == 0
    assert run(f"{tmp_path}/a.zip", workspace, "--yes") == {"threads": 1, "messages": 3, "skipped": {}}
    (tmp_path / "b.zip").write_bytes(b"no zip")
    assert code(f"{tmp_path}/b.zip", workspace, "--yes") == 4
    shutil.rmtree(tmp_path)


def test_summaries_come_along(tenant: Tenant) -> None:
    whole_thread(tenant)
    data = export(tenant)
    remove_all(tenant)
    bring_in(tenant, data)
    assert Summary.objects.get().text == "s"
