"""Threads that go out as a file and come in again."""

import io
import tempfile
from pathlib import Path
from typing import Any

from django.core.files.storage import default_storage
from django.utils import timezone

from tests.conftest import Tenant
from tests.lifecycle.bundled import full_thread
from threadhub.workspaces import actor as actors
from threads import branches
from threads.actions.messages import Draft, append
from threads.lifecycle import purge
from threads.lifecycle.exporting import container, exports
from threads.lifecycle.importing import imports
from threads.models import Run, Thread

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
