"""A thread read as a conversation: windows of it, calls, runs, summaries, files, ratings and branches."""

import re
from dataclasses import replace

import pytest
from django.db import transaction
from django.test import Client
from django.utils import timezone

from tests.conftest import Tenant
from tests.console.conftest import PNG, Everything, say, signed_in
from tests.console.threads import LIST, make, page, positions
from tests.lifecycle.conftest import archive_directory  # noqa: F401  fixture
from threadhub.console import transcript
from threadhub.workspaces.models import User
from threads import access, branches
from threads.actions import feedback, threads
from threads.actions.messages import Draft
from threads.attachments import Upload
from threads.lifecycle import acts
from threads.models import Attachment, Run, Summary


def test_the_newest_messages_show_and_links_lead_to_the_others(console: Client, tenant: Tenant) -> None:
    thread = make(tenant, "Long")
    say(thread, tenant, *(Draft(role="user", content=f"Line {number}") for number in range(1, 121)))
    newest = page(console, thread)
    assert positions(newest) == list(range(71, 121))
    older = page(console, thread, "?before=71")
    assert positions(older) == list(range(21, 71))
    assert "?before=21" in older
    assert "?after=70" in older
    assert positions(page(console, thread, "?after=70")) == list(range(71, 121))
    oldest = page(console, thread, "?before=21")
    assert positions(oldest) == list(range(1, 21))
    assert 'rel="prev"' not in oldest


@pytest.mark.parametrize(
    "query", ["?before=x", "?before=-1", "?before=99999999999999999999", "?after=%00", "?before=٣"]
)
def test_a_position_that_is_none_shows_the_newest(query: str, console: Client, everything: Everything) -> None:
    assert positions(page(console, everything.thread, query)) == [1, 2, 3, 5, 6]


def test_an_empty_thread_says_so(console: Client, tenant: Tenant) -> None:
    assert "No messages yet" in page(console, make(tenant, None))


def test_results_stand_with_their_calls(tenant: Tenant) -> None:
    thread = make(tenant, "Tools")
    say(
        thread,
        tenant,
        Draft(role="assistant", tool_calls=[{"id": "1", "name": "look_up", "arguments": {"order": 5}}]),
        Draft(role="tool", tool_call_id="1", name="look_up", tool_result={"status": "sent"}),
        Draft(role="assistant", tool_calls=[{"id": "2", "name": "look_up", "arguments": {"order": 6}}]),
        Draft(role="tool", tool_call_id="2", name="look_up", tool_result={"error": "No such order."}),
    )
    first, second = transcript.window(thread=thread).entries
    assert isinstance(first, transcript.Bubble)
    assert isinstance(second, transcript.Bubble)
    (call,), (failed,) = first.calls, second.calls
    assert (call.name, '"order": 5' in call.arguments, '"status": "sent"' in str(call.result), call.failed) == (
        "look_up", True, True, False,
    )  # fmt: skip
    assert failed.failed


def test_a_result_whose_call_is_out_of_sight_stands_alone(tenant: Tenant) -> None:
    thread = make(tenant, "Cut")
    say(
        thread,
        tenant,
        Draft(role="assistant", tool_calls=[{"id": "1", "name": "look_up", "arguments": {}}]),
        Draft(role="tool", tool_call_id="1", name="look_up", tool_result={"status": "sent"}),
    )
    (entry,) = transcript.window(thread=thread, size=1).entries
    assert isinstance(entry, transcript.Bubble)
    assert entry.side == "tool"
    assert "sent" in str(entry.result)


def test_a_run_stands_below_its_answer_and_a_failed_one_below_its_question(tenant: Tenant) -> None:
    thread = make(tenant, "Runs")
    fields = {"workspace": tenant.workspace, "thread": thread, "agent": tenant.agent}
    say(thread, tenant, Draft(role="user", content="One"))
    good = Run.objects.create(number=1, status="succeeded", **fields)
    say(thread, tenant, Draft(role="assistant", content="Answer", run_id=good.pk), Draft(role="user", content="Two"))
    bad = Run.objects.create(number=2, status="failed", created_at=timezone.now(), **fields)
    shown = transcript.window(thread=thread).entries
    spelled = [entry.run.pk if isinstance(entry, transcript.RunNote) else entry.message.content for entry in shown]  # type: ignore[union-attr]
    assert spelled == ["One", "Answer", good.pk, "Two", bad.pk]


def test_a_summary_stands_below_what_it_sums_up(tenant: Tenant) -> None:
    thread = make(tenant, "Summed")
    say(thread, tenant, *(Draft(role="user", content=f"{number}") for number in range(1, 5)))
    Summary.objects.create(workspace=tenant.workspace, thread=thread, from_position=1, to_position=2, text="Both.")
    kinds = [entry.kind for entry in transcript.window(thread=thread).entries]
    assert kinds == ["message", "message", "summary", "message", "message"]


def test_markdown_is_rendered_and_pictures_from_elsewhere_are_named(console: Client, tenant: Tenant) -> None:
    thread = make(tenant, "Markdown")
    say(thread, tenant, Draft(role="assistant", content="**bold** ![cat](https://evil.example/cat.png)"))
    html = page(console, thread)
    assert "<strong>bold</strong>" in html
    assert "[cat] https://evil.example/cat.png" in html
    assert "<img" not in html.partition('class="th-transcript"')[2].partition("</main>")[0]


def test_pictures_open_in_the_page_and_other_files_are_downloads(console: Client, tenant: Tenant) -> None:
    thread = make(tenant, "Files")
    uploads = [Upload("a.png", "image/png", PNG), Upload('b".html', "text/plain", b"<script>alert(1)</script>")]
    say(thread, tenant, Draft(role="user", content="Here", uploads=uploads))
    picture, text = Attachment.objects.order_by("content_type")
    for attachment, way in ((picture, "inline"), (text, "attachment")):
        answer = console.get(f"{LIST}{thread.wire_id}/files/{attachment.wire_id}")
        assert answer.status_code == 200
        assert answer["Content-Disposition"].startswith(way)
        assert "sandbox" in answer["Content-Security-Policy"]
        assert answer["X-Content-Type-Options"] == "nosniff"
    assert answer.content == b"<script>alert(1)</script>"


def test_a_file_opens_under_its_own_thread_only(
    console: Client, olivia: User, everything: Everything, tenant: Tenant, other_tenant: Tenant
) -> None:
    attachment = Attachment.objects.get()
    elsewhere = make(tenant, "Elsewhere")
    assert console.get(f"{LIST}{elsewhere.wire_id}/files/{attachment.wire_id}").status_code == 404
    assert console.get(f"{LIST}{everything.thread.wire_id}/files/nothing").status_code == 404
    foreign = make(other_tenant, "Foreign")
    (message,) = say(foreign, other_tenant, Draft(role="user", uploads=[Upload("c.png", "image/png", PNG)]))
    file = Attachment.objects.get(message_id=message.pk)
    assert signed_in(olivia).get(f"{LIST}{foreign.wire_id}/files/{file.wire_id}").status_code == 404


def test_it_is_said_where_branches_part_and_which_one_is_read(console: Client, tenant: Tenant) -> None:
    thread = threads.create(actor=tenant.actor, agent_id=tenant.agent.pk, now=timezone.now())
    say(thread, tenant, *(Draft(role="user", content=f"line {number}") for number in range(1, 4)))
    for before in (3, 2):  # of three branches the second leaves the first after 2, the third the second after 1
        with transaction.atomic():
            branches.fork(thread=access.lock(thread=thread), before=before, actor=tenant.actor, now=timezone.now())
        say(thread, tenant, Draft(role="user", content=f"again {before}"))
    found = {}
    for number in (1, 2, 3):
        thread.refresh_from_db()
        window = transcript.window(thread=thread, turned_to=transcript.branches_of(thread=thread, number=number))
        notes = [entry for entry in window.entries if isinstance(entry, transcript.ForkNote)]
        found[number] = {note.position: [branch.number for branch in note.branches] for note in notes}
    assert found == {1: {1: [3], 2: [2]}, 2: {1: [3], 2: [1]}, 3: {1: [2, 1]}}
    left = page(console, thread, "?branch=1")
    assert "You read branch 1, which was left." in left
    assert "go on elsewhere" in page(console, thread)
    assert "which was left" not in page(console, thread)


def test_other_branches_are_read_and_turned_to(console: Client, tenant: Tenant) -> None:
    thread = threads.create(actor=tenant.actor, agent_id=tenant.agent.pk, now=timezone.now())
    say(thread, tenant, Draft(role="user", content="old words"))
    with transaction.atomic():
        branches.fork(thread=access.lock(thread=thread), before=1, actor=tenant.actor, now=timezone.now())
    say(thread, tenant, Draft(role="user", content="new words"))
    address = f"/admin/threads/thread/{thread.wire_id}/change/"
    shown = {number: console.get(f"{address}?branch={number}").content.decode() for number in (1, 2)}
    assert ("old words" in shown[1], "new words" in shown[1]) == (True, False)
    assert ("old words" in shown[2], "new words" in shown[2]) == (False, True)
    assert "?branch=1" in console.get(address).content.decode()
    assert console.get(f"{address}?branch=3").status_code == 404


def test_what_was_thought_of_an_answer_stands_below_it(console: Client, tenant: Tenant) -> None:
    thread = make(tenant, "Rated")
    drafts = [Draft(role=role, content=f"{role} {n}") for n in (1, 2) for role in ("user", "assistant")]
    _, first, _, second = say(thread, tenant, *drafts)
    actor, now = tenant.actor, timezone.now()
    complaint = {"tags": ["incorrect"], "text": "Wrong <b>price</b> quoted"}
    feedback.give(actor=actor, thread=thread, message=first, rating=-1, now=now, **complaint)
    feedback.give(
        actor=replace(actor, kind="user", key_id=None, user_id=tenant.owner.pk),
        thread=thread,
        message=first,
        rating=1,
        now=now,
    )
    for archived in (False, True):
        if archived:
            acts.archive(actor=actor, thread=thread, now=now)
        html = page(console, thread)
        rated, other = (
            re.findall(rf'<article[^>]*id="{each.wire_id}".*?</article>', html, re.S)[0] for each in (first, second)
        )
        told = [
            rated.index(each)
            for each in ("Rated bad", "incorrect", "Wrong &lt;b&gt;price&lt;/b&gt; quoted", "Rated good")
        ]
        assert told == sorted(told)
        assert "Rated" not in other
