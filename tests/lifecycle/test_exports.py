"""Exports: every format, live and archived alike, safe to open, the same bytes each time."""

import csv
import io
import json
import os
import time
import zipfile
from datetime import timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.files.storage import default_storage
from django.core.management import CommandError, call_command
from django.utils import timezone

from tests.conftest import Api, Tenant, make_user
from tests.lifecycle.bundled import full_thread
from tests.lifecycle.conftest import old_thread
from tests.threads.test_takeover import person
from threadhub.audit.models import AuditEvent
from threadhub.workspaces.models import User
from threadhub.workspaces.permissions import Role
from threads.actions import desk
from threads.actions.messages import Draft, append
from threads.lifecycle import acts
from threads.lifecycle.exporting import container, exports
from threads.models import Export, Thread

NOW = timezone.now
FORMATS = ["jsonl", "html", "markdown", "csv"]


def zipped(tenant: Tenant, format: str = "jsonl") -> bytes:
    out = io.BytesIO()
    threads = exports.select(workspace_id=tenant.workspace.pk)
    container.write(out=out, workspace_id=tenant.workspace.pk, thread_ids=threads, format=format)
    return out.getvalue()


def fetched(api: Api, thread: Thread, format: str) -> bytes:
    response = api.get(f"/threads/{thread.wire_id}/export?format={format}")
    assert response.status_code == 200, response.content
    return b"".join(response.streaming_content)


@pytest.mark.parametrize("format", FORMATS)
def test_an_archived_thread_reads_like_a_live_one(api: Api, tenant: Tenant, format: str) -> None:
    thread = full_thread(tenant)
    live = fetched(api, thread, format)
    assert "žluťoučký kůň" in live.decode()
    acts.archive(actor=tenant.actor, thread=thread, now=NOW())
    archived = fetched(api, thread, format)
    if format == "jsonl":  # archiving compacts the runs' events, and nothing else
        assert [json.loads(line) for line in archived.splitlines() if b'"run"' not in line] == [
            json.loads(line) for line in live.splitlines() if b'"run"' not in line
        ]
    else:
        assert archived == live
    assert AuditEvent.objects.filter(action="thread.export").count() == 2


@pytest.mark.parametrize("format", FORMATS)
def test_the_same_threads_give_the_same_bytes(tenant: Tenant, format: str) -> None:
    for _ in range(3):
        full_thread(tenant)
    first = zipped(tenant, format)
    assert zipped(tenant, format) == first
    with zipfile.ZipFile(io.BytesIO(first)) as archive:
        assert archive.testzip() is None
        assert sum(name.startswith("attachments/") for name in archive.namelist()) == 3


@pytest.mark.parametrize("format", FORMATS)
def test_it_holds_nothing_that_staff_arrange_among_themselves(api: Api, tenant: Tenant, format: str) -> None:
    thread = full_thread(tenant)
    desk.note(actor=person(tenant), thread=thread, text="Xylophone note", now=NOW())
    desk.label(actor=person(tenant), thread=thread, labels=["Xylophone label"])
    ida = make_user("ida", tenant.workspace, Role.OWNER)
    desk.assign(actor=person(tenant), thread=thread, user_id=ida.pk)
    for archived in (False, True):
        if archived:
            acts.archive(actor=tenant.actor, thread=thread, now=NOW())
        with zipfile.ZipFile(io.BytesIO(zipped(tenant, format))) as archive:
            files = b"".join(archive.read(name) for name in archive.namelist())
        held = (files + fetched(api, thread, format)).decode(errors="replace")
        assert "so it is" in held
        assert "Xylophone" not in held
        assert str(ida.pk) not in held


class TestHostileWords:
    WORDS = '<script>alert(1)</script>"><img src=x onerror=alert(1)> & # heading\n# heading\n[x](javascript:1)'

    @pytest.fixture
    def thread(self, tenant: Tenant) -> Thread:
        thread = old_thread(tenant, messages=0, title=self.WORDS, external_ref=self.WORDS)
        drafts = [Draft(role="user", content=self.WORDS, name=self.WORDS, extra={})]
        append(actor=tenant.actor, thread=thread, drafts=drafts)
        return thread

    def test_html_is_inert(self, api: Api, thread: Thread) -> None:
        page = fetched(api, thread, "html").decode()
        assert "<script" not in page
        assert "<img src=x" not in page
        assert "default-src 'none'" in page
        assert page.count("<article") == 1

    def test_markdown_keeps_its_own_headings(self, api: Api, thread: Thread) -> None:
        page = fetched(api, thread, "markdown").decode()
        assert [line for line in page.splitlines() if line.startswith("#")][1:] == [
            line for line in page.splitlines() if line.startswith("## 1.")
        ]
        assert "\n[x](javascript" not in page

    @pytest.mark.parametrize("cell", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", " =1", "\r=1"])
    def test_no_cell_is_a_formula(self, api: Api, tenant: Tenant, cell: str) -> None:
        thread = old_thread(tenant, messages=0)
        append(actor=tenant.actor, thread=thread, drafts=[Draft(role="user", content=cell)])
        text = fetched(api, thread, "csv").decode()
        rows = list(csv.DictReader(io.StringIO(text, newline="")))
        assert rows[0]["content"] == f"'{cell}"


def test_a_member_exports_no_more_than_their_own(tenant: Tenant, alice: User, as_user: Any) -> None:
    strange = old_thread(tenant)
    assert as_user(alice).post("/exports", {"format": "jsonl"}).status_code == 403
    assert as_user(alice).get(f"/threads/{strange.wire_id}/export").status_code == 404
    Thread.objects.filter(pk=strange.pk).update(user=alice)
    assert fetched(as_user(alice), strange, "jsonl").count(b"\n") == 4


def test_an_admin_gets_one(tenant: Tenant, as_user: Any, mallory: User, worker: None) -> None:
    for _ in range(2):
        old_thread(tenant, external_ref="mine")
    old_thread(tenant)
    owner = as_user(tenant.owner)
    asked = owner.post("/exports", {"format": "jsonl", "external_ref": "mine"})
    assert asked.status_code == 202, asked.content
    path = f"/exports/{asked.json()['id']}"
    deadline = time.monotonic() + 30
    while (read := owner.get(path).json())["state"] == "queued":
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert (read["state"], read["threads"]) == ("done", 2)
    response = owner.get(read["url"])
    data = b"".join(response.streaming_content)
    assert len(data) == read["size"]
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert json.loads(archive.read("manifest.json"))["counts"]["message"] == 6
    assert as_user(mallory).get(path).status_code == 404
    name = Export.objects.get().file
    assert exports.remove_expired(now=NOW() + timedelta(days=3)) == 1
    assert not default_storage.exists(name)
    assert owner.get(path).status_code == 404


@pytest.mark.parametrize("field", ["agent_id", "user_id", "external_ref"])
def test_what_names_nothing_here_gives_an_empty_one(field: str, api: Api, tenant: Tenant, other_tenant: Tenant) -> None:
    old_thread(tenant)
    foreign = {"agent_id": other_tenant.agent.wire_id, "user_id": other_tenant.owner.wire_id, "external_ref": "none"}
    for value in (foreign[field], "0"):
        asked = api.post("/exports", {"format": "csv", field: value})
        assert asked.status_code == 202, asked.content
        assert Export.objects.latest("created_at").selection == {"threads": []}
    assert api.post("/exports", {"format": "csv"}).status_code == 202
    assert len(Export.objects.latest("created_at").selection["threads"]) == 1


def test_it_is_not_to_be_had_before_it_is_made(tenant: Tenant, as_user: Any) -> None:
    owner = as_user(tenant.owner)
    asked = owner.post("/exports", {"format": "csv"}).json()
    refused = owner.get(f"/exports/{asked['id']}/download")
    assert (refused.status_code, refused.json()["code"]) == (409, "export_unfinished")
    assert owner.post("/exports", {"format": "pdf"}).status_code == 422


def test_a_wrong_format_and_a_strange_thread_are_refused(api: Api, tenant: Tenant, other_tenant: Tenant) -> None:
    thread = old_thread(tenant)
    assert api.get(f"/threads/{thread.wire_id}/export?format=pdf").status_code == 422
    assert api.get(f"/threads/{old_thread(other_tenant).wire_id}/export").status_code == 404


def test_commands(tenant: Tenant, tmp_path: Path) -> None:
    old_thread(tenant, external_ref="mine")
    old_thread(tenant)
    workspace = f"--workspace={tenant.workspace.wire_id}"

    def run(command: str, *options: str) -> Any:
        out = StringIO()
        call_command(command, workspace, *options, "--json", stdout=out, stderr=StringIO())
        return json.loads(out.getvalue())

    assert run("export_threads", f"--to={tmp_path}/all.zip")["threads"] == 2
    assert run("export_person", "--external-ref=mine", f"--to={tmp_path}/one.zip", "--format=html")["threads"] == 1
    with zipfile.ZipFile(tmp_path / "one.zip") as archive:
        assert len(archive.namelist()) == 1
    with pytest.raises(CommandError) as ended:
        run("export_threads", f"--to={tmp_path}/all.zip")
    assert ended.value.returncode == 2
    with pytest.raises(CommandError) as ended:
        run("export_person", "--external-ref=nobody", f"--to={tmp_path}/no.zip")
    assert ended.value.returncode == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["all.zip", "one.zip"]


def test_a_second_export_to_the_same_file_leaves_the_first_alone(
    tenant: Tenant, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It comes while the first is being made, and is through before it."""
    old_thread(tenant)
    write = container.write
    options = (f"--workspace={tenant.workspace.wire_id}", f"--to={tmp_path}/all.zip")
    said: list[str] = []

    def export() -> None:
        call_command("export_threads", *options, stdout=StringIO(), stderr=StringIO())

    def then_another(**given: Any) -> int:
        monkeypatch.setattr(container, "write", write)
        export()
        said.append("through")
        return write(**given)

    monkeypatch.setattr(container, "write", then_another)
    with pytest.raises(CommandError, match="is there already") as ended:
        export()
    assert (ended.value.returncode, said) == (2, ["through"])
    assert [path.name for path in tmp_path.iterdir()] == ["all.zip"]
    with zipfile.ZipFile(tmp_path / "all.zip") as archive:
        assert archive.testzip() is None
    assert (tmp_path / "all.zip").stat().st_mode & 0o777 == 0o600


def test_of_two_that_end_in_the_same_instant_the_second_leaves_the_first_alone(
    tenant: Tenant, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whenever it looks, nothing is there yet."""
    old_thread(tenant)
    first = tmp_path / "all.zip"
    first.write_bytes(b"the first")
    monkeypatch.setattr(Path, "exists", lambda self, **options: False)
    with pytest.raises(CommandError, match="is there already") as ended:
        call_command(
            "export_threads", f"--workspace={tenant.workspace.wire_id}", f"--to={first}", stdout=StringIO(),
            stderr=StringIO(),
        )  # fmt: skip
    assert ended.value.returncode == 2
    assert [path.name for path in tmp_path.iterdir()] == ["all.zip"]
    assert first.read_bytes() == b"the first"


def test_an_export_is_on_the_disk_before_it_has_its_name(
    tenant: Tenant, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old_thread(tenant)
    sync, synced = os.fsync, []

    def noted(descriptor: int) -> None:
        synced.append(sorted(path.name for path in tmp_path.iterdir()))
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", noted)
    call_command(
        "export_threads", f"--workspace={tenant.workspace.wire_id}", f"--to={tmp_path}/all.zip", stdout=StringIO()
    )
    before, after = synced
    assert before[0].endswith(".partial")
    assert after == ["all.zip"]
