"""Threads in the console: found in the list, read as conversations, deleted after a question."""

import re
from datetime import UTC, datetime, timedelta
from html import unescape
from typing import Any

import pytest
from django.core.files.storage import default_storage
from django.db import transaction
from django.db.models import Func, TextField
from django.test import Client
from django.utils import timezone

from tests.conftest import Tenant
from tests.console.conftest import PNG, Everything, say, signed_in
from threadhub.agents import configure
from threadhub.console import keyset, thread_search, transcript
from threadhub.lib import ids
from threadhub.workspaces import end_users
from threadhub.workspaces.models import User
from threads import access, branches, saying
from threads.actions import threads
from threads.actions.messages import Draft
from threads.attachments import Upload
from threads.models import Attachment, Message, Run, Summary, Thread

LIST = "/admin/threads/thread/"


def make(tenant: Tenant, title: str | None, **fields: Any) -> Thread:
    return threads.create(actor=tenant.actor, agent_id=tenant.agent.pk, now=timezone.now(), title=title, **fields)


def titles(client: Client, **query: str) -> list[str]:
    """The titles on a page of the list, in order."""
    html = client.get(LIST, query).content.decode()
    cells = re.findall(r'<th class="field-titled.*?(?:<span class="th-(?:excerpt|label)|</th>)', html, re.S)
    return [unescape(re.sub(r"<[^>]+>|<span.*$", "", cell).strip()) for cell in cells]


def page(client: Client, thread: Thread, query: str = "") -> str:
    return client.get(f"{LIST}{thread.wire_id}/change/{query}").content.decode()


def positions(html: str) -> list[int]:
    return [int(text) for text in re.findall(r'class="th-position"[^>]*>#(\d+)<', html)]


# --- the list


def test_pages_follow_each_other_without_gap_or_repetition(console: Client, tenant: Tenant) -> None:
    for number in range(120):
        make(tenant, f"Number {number}")
    for query in ("", f"workspace={tenant.workspace.wire_id}"):
        seen: list[str] = []
        address, steps = f"{LIST}?{query}", 0
        while address:
            html = console.get(address).content.decode()
            seen += re.findall(r"Number \d+", html)
            older = re.search(r'href="(\?[^"]*)" rel="next"', html)
            address, steps = (LIST + older[1].replace("&amp;", "&") if older else ""), steps + 1
        assert seen == [f"Number {number}" for number in reversed(range(120))]
        assert steps == 3
        newer = re.search(r'href="(\?[^"]*)" rel="prev"', html)
        assert newer is not None
        assert titles_at(console, LIST + newer[1].replace("&amp;", "&")) == seen[50:100]


def titles_at(client: Client, address: str) -> list[str]:
    return re.findall(r"Number \d+", client.get(address).content.decode())


def test_threads_of_the_very_same_moment_are_all_there(console: Client, tenant: Tenant) -> None:
    for number in range(60):
        make(tenant, f"Number {number}")
    Thread.objects.update(created_at=timezone.now())
    first = f"{LIST}?workspace={tenant.workspace.wire_id}"
    html = console.get(first).content.decode()
    older = re.search(r'href="(\?[^"]*)" rel="next"', html)
    assert older is not None
    assert len(set(titles_at(console, first) + titles_at(console, LIST + older[1].replace("&amp;", "&")))) == 60


@pytest.mark.parametrize("term", ["lighthouse", "LIGHTHOUSE", "ref 7", "tide tables", '"tide tables"'])
def test_one_box_finds_titles_references_and_words(term: str, console: Client, tenant: Tenant) -> None:
    found = make(tenant, "About the lighthouse keeper", external_ref="ref 7")
    say(found, tenant, Draft(role="user", content="Where are the tide tables for May?"))
    make(tenant, "Something else", external_ref="ref 8")
    assert titles(console, q=term) == ["About the lighthouse keeper"]


def test_a_search_beside_archived_threads_says_what_it_does_not_find(console: Client, tenant: Tenant) -> None:
    told = "Of archived threads titles and references are searched, not what was said."
    make(tenant, "Order")
    assert told not in console.get(LIST, {"q": "order"}).content.decode()
    Thread.objects.filter(pk=make(tenant, "Old order").pk).update(state=Thread.State.ARCHIVED)
    assert told in console.get(LIST, {"q": "order"}).content.decode()


def test_an_end_user_goes_by_the_reference_of_the_product(
    console: Client, tenant: Tenant, other_tenant: Tenant
) -> None:
    """Not by the user name, which was made for them."""
    threads_of = {}
    for each in (tenant, other_tenant):
        user_id = end_users.find_or_make(workspace_id=each.workspace.pk, name="customer-42", now=timezone.now())
        threads_of[each] = make(each, f"Of {each.workspace.name}")
        Thread.objects.filter(pk=threads_of[each].pk).update(user_id=user_id)
    make(tenant, "Of nobody")
    say(threads_of[tenant], tenant, Draft(role="user", content="Hello"))
    listed = console.get(LIST).content.decode()
    assert listed.count("customer-42") == 2
    assert "end-user-" not in listed
    assert sorted(titles(console, user="customer-42")) == sorted(f"Of {each.workspace.name}" for each in threads_of)
    assert titles(console, user="customer-43") == []
    shown = page(console, threads_of[tenant])
    assert "<dd>customer-42</dd>" in shown
    assert "end-user-" not in shown


def test_a_search_for_what_many_say_tells_how_many_were_looked_at(
    console: Client, tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    thread = make(tenant, "Asked")
    say(thread, tenant, *(Draft(role="user", content="Where is my order?") for _ in range(3)))
    assert "Many say this" not in console.get(LIST, {"q": "order"}).content.decode()
    monkeypatch.setattr(thread_search, "MESSAGES", 3)
    assert "Many say this" in console.get(LIST, {"q": "order"}).content.decode()


def test_a_search_that_did_not_look_through_all_tells_how_far_it_came(
    console: Client, tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    since = datetime(2026, 3, 4, 5, 6, tzinfo=UTC)
    monkeypatch.setattr(saying, "newest", lambda **asked: saying.Said([], since))
    shown = console.get(LIST, {"q": "order"}).content.decode()
    assert 'Messages since <time class="th-time" datetime="2026-03-04T05:06:00+00:00">' in shown
    assert "older ones may say this too" in shown


def test_titles_that_take_too_long_are_left_out_and_that_is_told(
    console: Client, tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    thread = make(tenant, "Lighthouse")
    say(thread, tenant, Draft(role="user", content="Where is the lighthouse?"))
    assert "left out" not in console.get(LIST, {"q": "lighthouse"}).content.decode()
    titled = Thread.objects.annotate(slow=Func(template="pg_sleep(30)::text", output_field=TextField()))
    monkeypatch.setattr(thread_search.Thread, "objects", titled.exclude(slow="no"))
    monkeypatch.setattr(thread_search, "TITLES", timedelta(milliseconds=20))
    monkeypatch.setattr(thread_search, "_referenced", lambda where, term: [])
    shown = console.get(LIST, {"q": "lighthouse"}).content.decode()
    assert "The titles took too long to look through, and were left out." in shown
    assert 'class="th-excerpt"' in shown


def test_the_quotes_of_a_phrase_are_no_part_of_a_title(console: Client, tenant: Tenant) -> None:
    make(tenant, "The tide tables")
    make(tenant, "Tables of the tide")
    assert titles(console, q='"tide tables"') == ["The tide tables"]


def test_a_percent_sign_is_a_percent_sign(console: Client, tenant: Tenant) -> None:
    make(tenant, "50% off")
    make(tenant, "50 lamps")
    assert titles(console, q="50%") == ["50% off"]
    assert titles(console, q="_") == []


def test_ids_of_all_kinds_lead_to_their_thread(console: Client, everything: Everything, tenant: Tenant) -> None:
    make(tenant, "Another")
    message = Message.objects.filter(thread=everything.thread).first()
    for wire_id in (everything.thread.wire_id, everything.run.wire_id, everything.session.wire_id, message.wire_id):
        assert titles(console, q=wire_id) == ["Where is my order?"], wire_id
    assert titles(console, q=ids.encode("thread", ids.new())) == []
    assert titles(console, q=everything.thread.wire_id.upper()) == []


def test_what_is_deleted_is_not_found(console: Client, everything: Everything) -> None:
    threads.delete(actor=everything.tenant.actor, thread=everything.thread, now=timezone.now())
    assert titles(console, q="order") == []


def test_filters_narrow_the_list(console: Client, tenant: Tenant, other_tenant: Tenant, alice: User) -> None:
    second = configure.create(actor=tenant.actor, name="Second", provider="echo")
    mine = make(tenant, "Mine", external_ref="7")
    Thread.objects.filter(pk=mine.pk).update(
        user=alice, state="archived", created_at=timezone.now() - timedelta(days=9)
    )
    threads.create(actor=tenant.actor, agent_id=second.pk, now=timezone.now(), title="Second's")
    make(other_tenant, "Elsewhere")
    assert titles(console, agent=second.wire_id) == ["Second's"]
    assert titles(console, workspace=other_tenant.workspace.wire_id) == ["Elsewhere"]
    assert titles(console, state="archived") == ["Mine"]
    assert titles(console, user="alice") == ["Mine"]
    assert titles(console, external_ref="7") == ["Mine"]
    week_ago = (timezone.now() - timedelta(days=7)).date().isoformat()
    assert titles(console, created_to=week_ago) == ["Mine"]
    assert sorted(titles(console, created_from=week_ago)) == ["Elsewhere", "Second's"]
    the_day = (timezone.now() - timedelta(days=9)).date().isoformat()
    assert titles(console, created_from=the_day, created_to=the_day) == ["Mine"]


def test_days_are_those_of_making_or_those_of_the_last_activity(console: Client, tenant: Tenant) -> None:
    now = timezone.now()

    def day(ago: int) -> str:
        return (now - timedelta(days=ago)).date().isoformat()

    for title, made, active in (("Long", 40, 2), ("Short", 40, 40), ("New", 1, 0), ("Silent", 2, None)):
        moment = None if active is None else now - timedelta(days=active)
        fields = {"created_at": now - timedelta(days=made), "last_activity_at": moment}
        Thread.objects.filter(pk=make(tenant, title).pk).update(**fields)
    assert titles(console, created_from=day(50), created_to=day(30)) == ["Short", "Long"]
    assert titles(console, active_from=day(50), active_to=day(30)) == ["Short"]
    assert titles(console, active_from=day(3), active_to=day(2)) == ["Silent", "Long"], "without a message: its making"
    assert titles(console, active_from=day(3)) == ["New", "Silent", "Long"]
    assert titles(console, active_to=day(2)) == ["Silent", "Short", "Long"]
    assert titles(console, active_from=day(3), created_to=day(30), workspace=tenant.workspace.wire_id) == ["Long"]


def test_a_page_that_no_index_serves_says_how_many_it_looked_through(
    console: Client, tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keyset, "LOOKED_THROUGH", 2)
    now = timezone.now()
    made = [make(tenant, f"Thread {number}") for number in range(5)]
    Thread.objects.exclude(pk=made[1].pk).update(last_activity_at=now - timedelta(days=9))
    address, seen = f"{LIST}?active_from={now.date() - timedelta(days=1)}", []
    for _ in range(2):
        html = console.get(address).content.decode()
        address = LIST + unescape(re.findall(r'href="([^"]+)"[^>]*>\s*Look further', html)[0])
        seen.append(("2 threads were looked through" in html, "1 found among 2" in html, "Thread 1" in html))
    assert seen == [(True, False, False), (False, True, True)]
    html = console.get(address).content.decode()
    assert "Look further" not in html
    step = console.get(f"{LIST}{made[1].wire_id}/step/newer/?_changelist_filters=active_from%3D{now.date()}")
    assert "end=newer" in step["Location"]


@pytest.mark.parametrize(
    "query",
    [
        {"agent": "nobody"},
        {"workspace": "x"},
        {"state": "lost"},
        {"user": "nobody"},
        {"created_from": "soon"},
        {"active_to": "soon"},
        {"active_from": "\x00"},
    ],
)
def test_a_value_that_nothing_has_finds_nothing(query: dict[str, str], console: Client, everything: Everything) -> None:
    assert titles(console, **query) == []


# --- the transcript


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


# --- files


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


# --- deleting


def test_deleting_asks_first_and_then_deletes_everything(
    console: Client, everything: Everything, django_capture_on_commit_callbacks: Any
) -> None:
    address = everything.pages()["threads/thread delete"]
    file = Attachment.objects.get().file.name
    assert "Nobody can bring them back" in console.get(address).content.decode()
    assert Thread.objects.filter(pk=everything.thread.pk).exists()
    with django_capture_on_commit_callbacks(execute=True):
        answer = console.post(address, follow=True)
    assert "Deleted the thread" in answer.content.decode()
    for model in (Thread, Message, Run, Summary, Attachment):
        assert not model._default_manager.exists()
    assert not default_storage.exists(file)
    assert console.post(address).status_code == 404


def test_deleting_needs_the_token_of_the_form(root: User, everything: Everything) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(root)
    assert client.post(everything.pages()["threads/thread delete"]).status_code == 403
    assert Thread.objects.filter(pk=everything.thread.pk).exists()


def test_a_live_run_is_cancelled_from_its_page(console: Client, everything: Everything) -> None:
    address = everything.pages()["threads/run cancel"]
    assert "Cancel run" in console.get(everything.pages()["threads/run page"]).content.decode()
    assert "is cancelled" in console.post(address, follow=True).content.decode()
    everything.run.refresh_from_db()
    assert everything.run.status == "cancelled"
    assert "already ended" in console.post(address, follow=True).content.decode()
    assert "Cancel run" not in console.get(everything.pages()["threads/run page"]).content.decode()


def test_a_chat_session_is_ended_from_its_page(console: Client, everything: Everything) -> None:
    console.post(everything.pages()["chat_sessions/chatsession end"])
    everything.session.refresh_from_db()
    assert everything.session.ended_at is not None


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
