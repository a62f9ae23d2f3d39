"""The trash and the archive in the staff console."""

import re

from django.test import Client
from django.utils import timezone

from tests.conftest import Tenant
from tests.console.conftest import Everything, signed_in
from tests.console.retention import (
    actions_of,
    apply_page,
    plan_of,
    text_of,
)
from tests.lifecycle.conftest import archive_directory, old_thread, policy  # noqa: F401  fixture
from threadhub.workspaces.models import User
from threads.lifecycle import acts, holds, jobs, preferences, trash
from threads.models import (
    Bundle,
    BundledThread,
    Message,
    RetentionJob,
    Thread,
    Tombstone,
)  # fmt: skip


class TestTrash:
    def test_a_thread_comes_back_from_it(self, olivia: User, tenant: Tenant) -> None:
        preferences.change(actor=tenant.actor, now=timezone.now(), trash_days=30)
        thread = old_thread(tenant, title="A mistake")
        client = signed_in(olivia)
        page = f"/admin/threads/thread/{thread.wire_id}/"
        assert "bring it back for 30 days" in text_of(client, f"{page}do/delete/")
        client.post(f"{page}do/delete/")
        assert "A mistake" in text_of(client, "/admin/threads/thread/?state=trashed")
        assert "Destroyed after" in text_of(client, f"{page}change/")
        client.post(f"{page}do/untrash/")
        assert Thread.objects.get().state == "active"
        assert "thread.untrash" in actions_of(tenant)

    def test_it_is_purged_when_its_id_is_typed(self, olivia: User, tenant: Tenant) -> None:
        thread = old_thread(tenant)
        client = signed_in(olivia)
        page = f"/admin/threads/thread/{thread.wire_id}/do/purge/"
        assert b"not in the trash" in client.post(page, {"typed": thread.wire_id[-6:]}, follow=True).content
        trash.put(workspace_id=tenant.workspace.pk, thread_ids=[thread.pk], now=timezone.now(), days=30)
        assert client.post(page, {"typed": "wrong"}).status_code == 200
        hold = holds.place(actor=tenant.actor, scope="workspace", reason="x", now=timezone.now())
        assert b"on legal hold" in client.post(page, {"typed": thread.wire_id[-6:]}, follow=True).content
        holds.release(actor=tenant.actor, hold=hold, now=timezone.now())
        client.post(page, {"typed": thread.wire_id[-6:]})
        assert not Thread.objects.exists()
        stone = Tombstone.objects.get()
        assert (stone.reason, stone.purged_by) == ("command", f"user:{olivia.pk}")
        assert thread.wire_id in text_of(client, "/admin/threads/tombstone/")
        assert thread.wire_id in text_of(client, f"/admin/threads/tombstone/?q={thread.wire_id}")
        assert "By hand" in text_of(client, f"/admin/threads/tombstone/{thread.wire_id}/change/")


class TestArchive:
    def test_an_archived_thread_reads_as_before(self, console: Client, everything: Everything, tenant: Tenant) -> None:
        type(everything.run).objects.update(status="succeeded", finished_at=timezone.now())
        page = f"/admin/threads/thread/{everything.thread.wire_id}/"
        before = parts_of(console, page)
        assert len(before) > 5
        console.post(f"{page}do/archive/")
        assert not Message.objects.exists()
        assert parts_of(console, page) == before
        file = re.search(rf"{page}files/\w+", console.get(f"{page}change/").content.decode())
        assert file is not None
        assert console.get(file[0]).content.startswith(b"\x89PNG")
        console.post(f"{page}do/unarchive/")
        assert Message.objects.exists()
        assert parts_of(console, page) == before

    def test_windows_of_a_long_one_are_those_of_before(self, console: Client, tenant: Tenant) -> None:
        thread = old_thread(tenant, messages=120)
        page = f"/admin/threads/thread/{thread.wire_id}/"
        before = {query: parts_of(console, page, query) for query in ("", "?before=71", "?after=30", "?after=500")}
        acts.archive(actor=tenant.actor, thread=thread, now=timezone.now())
        assert {query: parts_of(console, page, query) for query in before} == before

    def test_one_in_the_trash_is_read_from_its_bundle_too(self, console: Client, tenant: Tenant) -> None:
        thread = old_thread(tenant)
        acts.archive(actor=tenant.actor, thread=thread, now=timezone.now())
        trash.put(workspace_id=tenant.workspace.pk, thread_ids=[thread.pk], now=timezone.now(), days=30)
        assert len(parts_of(console, f"/admin/threads/thread/{thread.wire_id}/")) == 3

    def test_a_lost_bundle_is_said_and_is_no_500(
        self,
        console: Client,
        tenant: Tenant,
        archive_directory: str,  # noqa: F811
    ) -> None:
        import shutil

        thread = old_thread(tenant)
        acts.archive(actor=tenant.actor, thread=thread, now=timezone.now())
        bundle = Bundle.objects.get()
        shutil.rmtree(f"{archive_directory}/{bundle.path}")
        assert "is damaged" in text_of(console, f"/admin/threads/thread/{thread.wire_id}/change/")
        console.post(f"/admin/threads/bundle/{bundle.wire_id}/do/verify/")
        jobs.do_waiting()
        job = RetentionJob.objects.get()
        assert (job.status, job.ended) == ("failed", "faults")
        assert "is damaged" in text_of(console, f"/admin/threads/retentionjob/{job.wire_id}/change/")
        console.post(f"/admin/threads/bundle/{bundle.wire_id}/do/restore/")
        jobs.do_waiting()
        assert RetentionJob.objects.latest("created_at").ended == "faults"
        assert Thread.objects.get().state == "archived"

    def test_a_bundle_is_verified_and_restored(self, olivia: User, tenant: Tenant) -> None:
        old_thread(tenant, title="First"), old_thread(tenant, title="Second")
        policy(tenant, action="archive")
        client = signed_in(olivia)
        client.post(apply_page(tenant), plan_of(client, tenant))
        jobs.do_waiting()
        bundle = Bundle.objects.get()
        page = f"/admin/threads/bundle/{bundle.wire_id}/"
        assert "Second" in text_of(client, f"{page}change/")
        client.post(f"{page}do/verify/")
        jobs.do_waiting()
        assert RetentionJob.objects.latest("created_at").ended == "done"
        client.post(f"{page}do/restore/")
        jobs.do_waiting()
        done = RetentionJob.objects.latest("created_at")
        assert (done.ended, done.done) == ("done", 2)
        assert Thread.objects.filter(state="active").count() == 2
        assert not BundledThread.objects.exists()
        assert "Emptied" in text_of(client, "/admin/threads/bundle/")
        assert client.post(f"{page}do/verify/").status_code == 302
        assert RetentionJob.objects.count() == 3


def parts_of(client: Client, page: str, query: str = "") -> list[str]:
    """The messages, runs and summaries of a transcript, as texts."""
    html = client.get(f"{page}change/{query}").content.decode()
    transcript = html[html.index('class="th-transcript"') : html.index("</main>")]
    transcript = transcript.partition('<section class="th-composer"')[0]  # of a thread that can be written to
    parts = re.split(r'<article|<div class="th-run|<details class="th-summary', transcript)[1:]
    return [" ".join(re.sub(r"<[^>]+>", " ", part.partition(">")[2]).split()) for part in parts]
