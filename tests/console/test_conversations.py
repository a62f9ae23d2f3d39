"""The list's marks and filters, the reason that a workspace may ask for, and the desk beside a conversation."""

import re
from html import unescape
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from tests.conftest import Tenant, make_tenant
from tests.console.conftest import Everything, say, signed_in
from tests.console.test_plans import OF_THE_TEST
from tests.console.threads import LIST, make, page, titles
from tests.lifecycle.conftest import archive_directory  # noqa: F401  fixture
from threadhub.audit.models import AuditEvent
from threadhub.console import keyset
from threadhub.console.conversations import desk as console_desk
from threadhub.workspaces.models import User, Workspace
from threads.actions import desk, feedback, takeover
from threads.actions.messages import Draft
from threads.lifecycle import acts
from threads.lifecycle.bundles import ratings
from threads.models import BundledThread, CannedAnswer, Message, Note, Thread

TOOL = [{"id": "1", "name": "look_up", "arguments": {}}]


def rated(tenant: Tenant, title: str, rating: int) -> Thread:
    thread = make(tenant, title)
    (message,) = say(thread, tenant, Draft(role="assistant", content="Here.", tool_calls=TOOL))
    feedback.give(actor=tenant.actor, thread=thread, message=message, rating=rating, now=timezone.now())
    return thread


def test_filters_of_ratings_tools_and_the_desk(console: Client, root: User, tenant: Tenant) -> None:
    rated(tenant, "Bad", -1)
    rated(tenant, "Good", 1)
    mine = make(tenant, "Mine")
    actor = tenant.actor
    desk.label(actor=actor, thread=mine, labels=["urgent"])
    takeover.take_over(actor=actor, thread=mine, now=timezone.now())
    Thread.objects.filter(pk=mine.pk).update(assignee_id=root.pk)
    for query, found in {
        "rating=bad": ["Bad"], "rating=good": ["Good"], "rating=none": ["Mine"], "tool=look_up": ["Good", "Bad"],
        "tool=other": [], "label=urgent": ["Mine"], "label=urg": [], "handled=person": ["Mine"],
        "handled=agent": ["Good", "Bad"], "assigned=me": ["Mine"], "assigned=nobody": ["Good", "Bad"],
        "assigned=anybody": ["Mine"],
    }.items():  # fmt: skip
        assert titles(console, **dict([query.split("=")])) == found, query


def test_ratings_of_archived_threads_stay_in_the_list(console: Client, tenant: Tenant) -> None:
    for title, rating in (("Bad", -1), ("Good", 1)):
        acts.archive(actor=tenant.actor, thread=rated(tenant, title, rating), now=timezone.now())
    acts.archive(actor=tenant.actor, thread=make(tenant, "Plain"), now=timezone.now())
    rated(tenant, "Live", -1)
    for query, found in {
        "rating=bad": ["Live", "Bad"], "rating=good": ["Good"], "rating=none": ["Plain"],
        "rating=bad&state=archived": ["Bad"], "rating=bad&q=bad": ["Bad"], "rating=good&q=bad": [],
        f"rating=bad&workspace={tenant.workspace.wire_id}": ["Live", "Bad"],
    }.items():  # fmt: skip
        assert titles(console, **dict(each.split("=") for each in query.split("&"))) == found, query
    shown = console.get(LIST, {"state": "archived"}).content.decode()
    assert (shown.count("1 bad"), shown.count("1 good")) == (1, 1)
    BundledThread.objects.update(good=None, bad=None)  # as an older version left them
    assert console.get(LIST, {"state": "archived"}).content.decode().count("th-badge-rated") == 2
    assert titles(console, rating="none") == ["Plain"]
    assert ratings.read_missing() == 2
    assert titles(console, rating="good") == ["Good"]


def test_words_that_were_found_are_highlighted(console: Client, tenant: Tenant) -> None:
    thread = make(tenant, "A lighthouse <b>", external_ref="lighthouse")
    say(thread, tenant, Draft(role="user", content="Who keeps the Lighthouse & the lamp?"))
    html = console.get(LIST, {"q": "lighthouse"}).content.decode()
    assert html.count('<mark class="th-hit">') == 3
    assert 'Who keeps the <mark class="th-hit">Lighthouse</mark> &amp; the lamp?' in html
    assert 'A <mark class="th-hit">lighthouse</mark> &lt;b&gt;' in html


@pytest.mark.parametrize("term", ['"refund"', '"the refund of"'])
def test_quoted_words_and_phrases_are_highlighted_where_they_stand(term: str, console: Client, tenant: Tenant) -> None:
    said = f"{'Hold the line of may. ' * 30}I want the refund of May. {'And so on. ' * 30}"
    thread = make(tenant, "Money")
    say(thread, tenant, Draft(role="user", content=said))
    marked = f'<mark class="th-hit">{term.strip(chr(34))}</mark>'
    assert console.get(LIST, {"q": term}).content.decode().count(marked) == 1
    for within in (term, term.strip('"'), f" {term.upper()} "):
        hits = console.get(f"{LIST}{thread.wire_id}/find/", {"q": within}).content.decode()
        assert marked in hits
        assert hits.count("<mark") == 1


@pytest.mark.parametrize("query", ["", "q=order", "rating=bad", "tool=look_up", "label=urgent", "assigned=me"])
def test_a_list_takes_as_many_queries_for_many_threads_as_for_few(query: str, console: Client, tenant: Tenant) -> None:
    """Session, user, filters' options, rows, ratings, expiry, people; with a search its three look-ups and hits."""

    def queries() -> int:
        with CaptureQueriesContext(connection) as captured:
            assert console.get(f"{LIST}?{query}").status_code == 200
        return len(captured)

    def more() -> None:
        thread = rated(tenant, "My order", -1)
        desk.label(actor=tenant.actor, thread=thread, labels=["urgent"])

    more()
    queries()
    few = queries()
    for _ in range(20):
        more()
    assert queries() == few
    assert few <= 20


def test_hits_in_many_workspaces_take_one_look_into_all_their_trails(console: Client) -> None:
    def queries() -> int:
        with CaptureQueriesContext(connection) as captured:
            assert console.get(f"{LIST}?q=order").status_code == 200
        return len(captured)

    numbers = []
    for number in range(4):
        tenant = make_tenant(f"Workspace {number}")
        say(make(tenant, "Asked"), tenant, Draft(role="user", content="Where is my order?"))
        queries()
        numbers.append(queries())
    assert len(set(numbers)) == 1
    reads = AuditEvent.objects.filter(action="thread.read")
    assert reads.values("workspace_id").distinct().count() == reads.count() == 4


def test_the_first_search_of_an_hour_takes_no_query_for_each_workspace(console: Client) -> None:
    for number in range(20):
        tenant = make_tenant(f"Workspace {number}")
        say(make(tenant, "Asked"), tenant, Draft(role="user", content="Where is my order?"))
    with CaptureQueriesContext(connection) as captured:
        assert console.get(f"{LIST}?q=order").status_code == 200
    ours = [query for query in captured if not (query["sql"] or "").startswith(OF_THE_TEST)]
    assert len(ours) <= 20
    assert AuditEvent.objects.filter(action="thread.read").values("workspace_id").distinct().count() == 20


def ask_reasons(tenant: Tenant) -> None:
    Workspace.objects.filter(pk=tenant.workspace.pk).update(transcript_reason=True)


def test_nothing_of_a_conversation_shows_without_a_reason(console: Client, everything: Everything) -> None:
    ask_reasons(everything.tenant)
    Message.objects.filter(thread=everything.thread).update(content="Xylophone")
    at = f"{LIST}{everything.thread.wire_id}"
    shown = page(console, everything.thread)
    assert "asks for a reason" in shown
    assert "Xylophone" not in shown
    for rest in ("window/", "live/", "find/?q=Xylophone"):
        assert console.get(f"{at}/{rest}").status_code == 403
    assert console.post(f"{at}/desk/note/", {"text": "x"}).status_code == 403
    assert 'th-hit">Xylophone' not in console.get(LIST, {"q": "Xylophone"}).content.decode()
    assert not AuditEvent.objects.filter(action="thread.read").exists()
    assert console.post(f"{at}/reason/", {"reason": "  x  "}).status_code == 200
    assert console.post(f"{at}/reason/", {"reason": "A complaint of the visitor"}).status_code == 302
    assert "Xylophone" in page(console, everything.thread)
    event = AuditEvent.objects.filter(action="thread.read").latest("created_at")
    assert event.details == {"reason": "A complaint of the visitor"}
    assert console.get(f"{at}/window/").status_code == 200


def test_a_reason_is_good_for_one_thread(console: Client, everything: Everything) -> None:
    ask_reasons(everything.tenant)
    console.post(f"{LIST}{everything.thread.wire_id}/reason/", {"reason": "A complaint"})
    assert "asks for a reason" in page(console, make(everything.tenant, "Another"))


def test_an_answer_that_is_sent_twice_is_said_once(console: Client, everything: Everything) -> None:
    thread, at = everything.thread, f"{LIST}{everything.thread.wire_id}"
    takeover.take_over(actor=everything.tenant.actor, thread=thread, now=timezone.now())
    (sending,) = re.findall(r'name="sending" value="(sending_[^"]*)"', page(console, thread))
    json = {"Accept": "application/json"}
    for told in (console.post(f"{at}/desk/answer/", {"text": "Yes.", "sending": sending}, headers=json) for _ in "12"):
        assert told.status_code == 200
        assert told.json()["done"] == "Your answer is in the thread."
    assert Message.objects.filter(thread=thread, content="Yes.").count() == 1
    for another in (told.json()["sending"], "sending_nonsense", ""):
        console.post(f"{at}/desk/answer/", {"text": "Yes.", "sending": another})
    assert Message.objects.filter(thread=thread, content="Yes.").count() == 4


def test_a_reason_leads_on_to_where_one_was_going(console: Client, everything: Everything) -> None:
    ask_reasons(everything.tenant)
    at, query = f"{LIST}{everything.thread.wire_id}", "at=3&branch=1&_changelist_filters=q%3Dorder"
    asked = console.get(f"{at}/change/?{query}").content.decode()
    (action,) = re.findall(r'<form method="post" action="([^"]*)" class="th-confirm"', asked)
    assert unescape(action) == f"{at}/reason/?{query}"
    assert f'href="{LIST}?q=order"' in asked
    again = console.post(unescape(action), {"reason": " x "}).content.decode()
    assert f'action="{action}"' in again
    assert console.post(unescape(action), {"reason": "A complaint"})["Location"] == f"{at}/change/?{query}"


def test_windows_lead_to_each_other(console: Client, tenant: Tenant) -> None:
    thread = make(tenant, "Long")
    say(thread, tenant, *[Draft(role="user", content=f"Number {n}") for n in range(1, 121)])
    window = f"{LIST}{thread.wire_id}/window/"
    for query, older, newer in (
        ("", "71", ""),
        ("?before=71", "21", "70"),
        ("?after=20", "21", "70"),
        ("?at=60", "35", "84"),
    ):
        html = console.get(window + query).content.decode()
        assert f'data-older="{older}" data-newer="{newer}"' in html, query


def test_what_goes_on_is_told_and_changes_its_state(console: Client, everything: Everything) -> None:
    live = f"{LIST}{everything.thread.wire_id}/live/"
    before = console.get(live).json()
    assert (before["live"], before["waits"]) == (True, False)
    assert before["title"] == "Where is my order?"
    takeover.take_over(actor=everything.tenant.actor, thread=everything.thread, now=timezone.now())
    assert console.get(live).json()["waits"] is True
    takeover.answer(actor=everything.tenant.actor, thread=everything.thread, text="Hello", now=timezone.now())
    after = console.get(live).json()
    assert after["live"] is False
    assert after["state"] != before["state"]
    assert [int(each["counts"]["messages"]) for each in (before, after)] == [6, 7]


@pytest.mark.parametrize("query", ["rating=bad", "q=&rating=bad", "rating=bad&held=no"])
def test_the_next_thread_is_one_that_is_rated_so(
    query: str, console: Client, tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many others lie between them."""
    monkeypatch.setattr(keyset, "LOOKED_THROUGH", 2)
    first = rated(tenant, "Cat", -1)
    for _ in range(5):
        make(tenant, "Dog")
    last = rated(tenant, "Cat", -1)
    step = console.get(f"{LIST}{last.wire_id}/step/older/", {"_changelist_filters": query})
    assert first.wire_id in step["Location"]


def test_what_the_desk_does_not_show_it_says(console: Client, tenant: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    thread = make(tenant, "Cat")
    for number in range(3):
        desk.note(actor=tenant.actor, thread=thread, text=f"Note {number}.", now=timezone.now())
        CannedAnswer.objects.create(workspace=tenant.workspace, title=f"Canned {number}", text="x")
    takeover.take_over(actor=tenant.actor, thread=thread, now=timezone.now())
    shown = page(console, thread)
    assert all(f"Note {number}." in shown and f"Canned {number}" in shown for number in range(3))
    assert "Older notes" not in shown
    assert "There are more" not in shown
    monkeypatch.setattr(console_desk, "NOTES", 2)
    monkeypatch.setattr(console_desk, "CANNED", 2)
    fewer = page(console, thread)
    assert ("Note 0." in fewer, "Canned 2" in fewer, "There are more" in fewer) == (False, False, True)
    assert 'href="?notes=all">Older notes' in fewer
    every = console.get(f"{LIST}{thread.wire_id}/change/?notes=all").content.decode()
    assert "Note 0." in every
    assert "Older notes" not in every


def test_the_next_thread_is_that_of_the_filtered_list(console: Client, tenant: Tenant) -> None:
    first, _, last = make(tenant, "Cat 1"), make(tenant, "Dog"), make(tenant, "Cat 2")
    step = console.get(f"{LIST}{last.wire_id}/step/older/", {"_changelist_filters": "q=Cat"})
    assert first.wire_id in step["Location"]
    end = console.get(f"{LIST}{first.wire_id}/step/older/", {"_changelist_filters": "q=Cat"})
    assert "end=older" in end["Location"]


def test_going_on_to_the_next_thread_of_a_search_reads_none_of_those_found(console: Client, tenant: Tenant) -> None:
    first, last = (make(tenant, f"Airship {number}") for number in (1, 2))
    for thread in (first, last):
        say(thread, tenant, Draft(role="user", content="Where is the zeppelin?"))
    with CaptureQueriesContext(connection) as captured:
        step = console.get(f"{LIST}{last.wire_id}/step/older/", {"_changelist_filters": "q=zeppelin"})
    assert first.wire_id in step["Location"]
    assert not AuditEvent.objects.filter(action="thread.read").exists()
    assert not [query for query in captured if "threads_feedback" in str(query["sql"])]
    console.get(LIST, {"q": "zeppelin"})
    assert AuditEvent.objects.filter(action="thread.read").exists()


def test_who_may_only_read_has_no_desk(tenant: Tenant, everything: Everything, olivia: User) -> None:
    client: Any = signed_in(olivia)
    assert "Take over" in page(client, everything.thread)
    at = f"{LIST}{everything.thread.wire_id}/desk"
    assert client.post(f"{at}/note/", {"text": "Call back"}).status_code == 302
    assert Note.objects.filter(text="Call back", author=f"user:{olivia.pk}").exists()
    User.objects.filter(pk=olivia.pk).get().memberships.update(role="member")  # reads only their own in the API
    assert client.post(f"{at}/take_over/").status_code in (403, 404)
    assert client.get(f"{LIST}{everything.thread.wire_id}/change/").status_code in (302, 403, 404)
