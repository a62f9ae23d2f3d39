"""What is in the trash comes back until `purge_after`, and no moment later, whether or not a sweep came by."""

from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from tests.conftest import Tenant
from tests.console.conftest import olivia as olivia  # fixture
from tests.console.conftest import signed_in
from tests.console.retention import text_of
from tests.lifecycle.conftest import old_thread
from tests.lifecycle.test_commands import run
from threadhub.workspaces.models import User
from threads.lifecycle import restore, trash
from threads.models import Sweep, Thread

INSTANT = timedelta(microseconds=1)
OVER = "This thread's time in the trash is over"


def trashed(tenant: Tenant, days: int = 1) -> Thread:
    """Since now, or so many days before it."""
    thread = old_thread(tenant)
    since = timezone.now() - timedelta(days=0 if days > 0 else 1 - days)
    trash.put(workspace_id=tenant.workspace.pk, thread_ids=[thread.pk], now=since, days=1)
    thread.refresh_from_db()
    return thread


def test_it_comes_back_until_the_last_instant(tenant: Tenant) -> None:
    thread = trashed(tenant)
    assert thread.purge_after is not None
    taking = {"actor": tenant.actor, "thread_id": thread.pk, "grace": restore.GRACE}
    for late in (thread.purge_after, thread.purge_after + INSTANT):
        with pytest.raises(trash.TrashTimeOver):
            trash.take_out(**taking, now=late)
    assert Thread.objects.get().state == "trashed"
    assert trash.take_out(**taking, now=thread.purge_after - INSTANT).state == "active"
    with pytest.raises(trash.NotInTrash):
        trash.take_out(**taking, now=thread.purge_after)


def test_the_command_leaves_it_and_brings_back_the_others(tenant: Tenant) -> None:
    late, there = trashed(tenant, days=0), trashed(tenant)
    out, err, workspace = StringIO(), StringIO(), f"--workspace={tenant.workspace.wire_id}"
    for options in (["--dry-run"], []):
        with pytest.raises(CommandError) as ended:
            call_command("restore_threads", "--trashed", workspace, "--yes", *options, stdout=out, stderr=err)
        assert ended.value.returncode == 1
        assert f"{late.wire_id}: {OVER}" in err.getvalue()
    assert dict(Thread.objects.values_list("pk", "state")) == {late.pk: "trashed", there.pk: "active"}
    assert Sweep.objects.get().report["skipped"] == {"trash_time_over": 1}
    assert run("purge_trash", "--yes")[0]["taken"] == 1


@pytest.mark.parametrize("options", [["--dry-run"], ["--yes"]])
def test_those_whose_time_is_over_take_nobodys_place_under_a_limit(tenant: Tenant, options: list[str]) -> None:
    trashed(tenant, days=0)
    trashed(tenant)
    out, workspace = StringIO(), f"--workspace={tenant.workspace.wire_id}"
    with pytest.raises(CommandError):
        call_command("restore_threads", "--trashed", workspace, "--limit=1", *options, stdout=out, stderr=StringIO())
    assert "     taken  1\n" in out.getvalue()
    assert "   skipped  trash_time_over 1\n" in out.getvalue()


def test_the_console_offers_it_no_more(olivia: User, tenant: Tenant) -> None:
    late, there = trashed(tenant, days=0), trashed(tenant)
    client = signed_in(olivia)
    pages = {thread.pk: f"/admin/threads/thread/{thread.wire_id}/" for thread in (late, there)}
    offered = {pk: "do/untrash/" in client.get(f"{page}change/").content.decode() for pk, page in pages.items()}
    assert offered == {late.pk: False, there.pk: True}
    assert "Purge now" in text_of(client, f"{pages[late.pk]}change/")
    assert OVER.split("'")[1] in client.post(f"{pages[late.pk]}do/untrash/", follow=True).content.decode()
    assert Thread.objects.get(pk=late.pk).state == "trashed"
