"""A dry run of any command changes nothing: not a row of a table, not a byte of the archive."""

import json
import os
from datetime import timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.db import transaction
from django.utils import timezone

from chat_sessions.models import ChatSession
from tests.api.rest.conftest import open_session
from tests.conftest import Api, Tenant
from tests.lifecycle.conftest import old_thread, policy
from tests.lifecycle.persons import own_attachments as own_attachments  # fixture
from tests.lifecycle.persons import stored
from tests.lifecycle.test_sweeps import everything
from threads.lifecycle import acts, trash
from threads.lifecycle.bundles import archive
from threads.models import RetentionSettings, Thread

NOW = timezone.now


@pytest.fixture
def workspace(tenant: Tenant, api: Api, archive_directory: str, tmp_path: Path) -> str:
    """Something for every command to do."""
    old_thread(tenant, external_ref="person")
    policy(tenant)
    RetentionSettings.objects.create(workspace=tenant.workspace, trash_days=1)
    archived, trashed = old_thread(tenant, external_ref="person"), old_thread(tenant)
    back = old_thread(tenant, external_ref="back")
    with transaction.atomic():
        archive.archive(workspace_id=tenant.workspace.pk, thread_ids=[archived.pk], now=NOW())
    for thread in (trashed, back):
        acts.delete(actor=tenant.actor, thread=thread, now=NOW())
    Thread.objects.filter(pk=trashed.pk).update(purge_after=NOW())
    open_session(api, tenant)
    ChatSession.objects.update(idle_expires_at=NOW() - timedelta(days=2))
    stray = Path(archive_directory) / tenant.workspace.wire_id / "2025" / "01" / ("a" * 64)
    stray.mkdir(parents=True)
    (stray / "manifest.json").write_bytes(b"half")
    os.utime(stray / "manifest.json", (0, 0))
    call_command(
        "export_threads", f"--workspace={tenant.workspace.wire_id}", f"--to={tmp_path}/a.zip", stdout=StringIO()
    )
    Thread.objects.filter(external_ref="person", state="active").update(external_ref="another")
    assert trash.is_on(tenant.workspace.pk)
    return f"--workspace={tenant.workspace.wire_id}"


COMMANDS = {
    "retention_apply": [],
    "archive_threads": [],
    "restore_threads": [],
    "restore_threads --trashed": ["--external-ref=back"],
    "purge_trash": [],
    "collect_orphan_bundles": [],
    "cleanup_sessions": [],
    "legal_hold place": ["--reason=case"],
    "erase_person": ["--external-ref=person"],
    "erase_person --resume": [],
    "erase_person --replay": [],
    "import_threads": [],
}
FOUND = ("due", "taken", "removed", "threads", "id", "code")  # one of them tells that there was something to do
FOUND_BY = {"cleanup_sessions": ("ended",), "import_threads": ("skipped",)}


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("also", [[], ["--yes"]])
def test_it_changes_nothing(
    workspace: str, archive_directory: str, tmp_path: Path, command: str, also: list[str]
) -> None:
    name, *words = command.split()
    words += COMMANDS[command] + ([f"{tmp_path}/a.zip"] if name == "import_threads" else [])
    also = [] if name == "legal_hold" else also
    before = state(archive_directory)
    out = StringIO()
    call_command(name, *words, workspace, "--dry-run", "--json", *also, stdout=out, stderr=StringIO())
    assert state(archive_directory) == before
    told: list[dict[str, Any]] = [json.loads(line) for line in out.getvalue().splitlines()]
    if words != ["--resume"] and words != ["--replay"]:
        assert any(told[0].get(key) for key in FOUND_BY.get(name, FOUND)), told


def state(directory: str) -> Any:
    archive = {path: path.read_bytes() for path in Path(directory).rglob("*") if path.is_file()}
    return everything(), archive, stored()
