"""Files of the archive that no thread names go, and nobody else's."""

import json
import os
from datetime import timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.utils import timezone

from tests.conftest import Tenant
from tests.lifecycle.bundled import crash_after_archiving, files, full_thread
from tests.lifecycle.conftest import old_thread
from threads.lifecycle import acts, candidates, reading
from threads.lifecycle.bundles import orphans
from threads.models import Bundle, Thread

NOW = timezone.now


def test_orphans_go_when_they_are_a_day_old(tenant: Tenant, archive_directory: str) -> None:
    thread = full_thread(tenant)
    crash_after_archiving(tenant, thread)
    (Path(archive_directory) / ".partial-abc").write_bytes(b"half")
    now = candidates.database_now()
    assert [(orphan.dead, orphan.old) for orphan in orphans.find(now=now)] == [(False, False)] * 2
    late = list(orphans.find(now=now + timedelta(days=1, minutes=1)))
    assert [orphan.old for orphan in late] == [True, True]
    acts.archive(actor=tenant.actor, thread=thread, now=NOW())
    referenced = [orphan for orphan in orphans.find(now=now + timedelta(days=2)) if "partial" not in orphan.path]
    assert referenced == []
    for orphan in late[1:]:
        assert orphans.remove(orphan, now=now + timedelta(days=2))
    assert len(files(archive_directory)) == 2


def test_an_orphan_that_is_written_again_while_others_are_listed_stays(
    tenant: Tenant, archive_directory: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A crashed archive is tried again, under the very same name, once the archive was listed."""
    thread = old_thread(tenant, 3)
    said = [message.content for message in thread.messages.order_by("position")]
    crash_after_archiving(tenant, thread)
    before = files(archive_directory)
    find = orphans.find

    def then_archived(**options: Any) -> Any:
        yield from list(find(**options))
        if thread.messages.exists():
            acts.archive(actor=tenant.actor, thread=thread, now=NOW())

    monkeypatch.setattr(orphans, "find", then_archived)
    removed, _ = orphans.collect(now=candidates.database_now() + timedelta(days=2))
    assert (removed, files(archive_directory)) == ([], before)
    assert [message.content for message in reading.messages(Thread.objects.get())] == said


def test_a_file_of_a_retired_bundle_that_a_thread_still_names_is_no_orphan(tenant: Tenant) -> None:
    acts.archive(actor=tenant.actor, thread=old_thread(tenant, 3), now=NOW())
    Bundle.objects.update(removed_at=NOW())
    assert list(orphans.find(now=candidates.database_now() + timedelta(days=2))) == []


@pytest.mark.parametrize(
    "path",
    [
        "lost/2025/01/x/file",
        "workspace_" + "u" * 26 + "/2025/01/" + "a" * 64 + "/manifest.json",  # no id: u is no letter of it
        "workspace_" + "8" + "0" * 25 + "/2025/01/" + "a" * 64 + "/manifest.json",  # and this one too large
        "workspace_" + "0" * 26 + "/2025/01/" + "a" * 64 + "/theirs.txt",
    ],
)
def test_what_others_keep_in_the_same_place_stays(tenant: Tenant, archive_directory: str, path: str) -> None:
    foreign = Path(archive_directory) / path
    foreign.parent.mkdir(parents=True)
    foreign.write_bytes(b"theirs")
    two_days_ago = NOW().timestamp() - 2 * 86_400
    for each in (foreign, foreign.parent):
        os.utime(each, (two_days_ago, two_days_ago))
    out = StringIO()
    call_command("collect_orphan_bundles", "--yes", "--json", stdout=out)
    assert json.loads(out.getvalue()) == {"removed": [], "younger": []}
    assert foreign.read_bytes() == b"theirs"
