"""The one box above the list of threads: titles, references, words of messages, ids; and what it says of its bounds."""

from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection
from django.db.models import Func, TextField
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from tests.conftest import Tenant
from tests.console.conftest import Everything, say, signed_in
from tests.console.test_plans import OF_THE_TEST
from tests.console.threads import LIST, make, titles
from threadhub.console import thread_search
from threadhub.lib import ids
from threadhub.workspaces.models import User, Workspace
from threads import saying
from threads.actions import threads
from threads.actions.messages import Draft
from threads.models import Message, Thread


@pytest.mark.parametrize("term", ["lighthouse", "LIGHTHOUSE", "ref 7", "tide tables", '"tide tables"'])
def test_one_box_finds_titles_references_and_words(term: str, console: Client, tenant: Tenant) -> None:
    found = make(tenant, "About the lighthouse keeper", external_ref="ref 7")
    say(found, tenant, Draft(role="user", content="Where are the tide tables for May?"))
    make(tenant, "Something else", external_ref="ref 8")
    assert titles(console, q=term) == ["About the lighthouse keeper"]


@pytest.mark.parametrize(
    ("term", "found"),
    [
        ("refund invoice", ["Invoice, and a refund"]),
        ('"invoice refund"', []),
        ('"and a refund"', ["Invoice, and a refund"]),
        ("refund or delivery", ["Delivery", "Invoice, and a refund", "A refund"]),
        ("refund -invoice", ["A refund"]),
        ("customer-12", ["Delivery", "Invoice, and a refund"]),
        ("customer-123", ["Delivery"]),
        ("12", []),
    ],
)
def test_titles_are_found_by_their_words_and_references_by_how_they_begin(
    term: str, found: list[str], console: Client, tenant: Tenant
) -> None:
    make(tenant, "A refund", external_ref="customer-9")
    make(tenant, "Invoice, and a refund", external_ref="customer-12")
    make(tenant, "Delivery", external_ref="customer-123")
    assert titles(console, q=term) == found


def test_a_search_beside_archived_threads_says_what_it_does_not_find(console: Client, tenant: Tenant) -> None:
    told = "Of archived threads titles and references are searched, not what was said."
    make(tenant, "Order")
    assert told not in console.get(LIST, {"q": "order"}).content.decode()
    Thread.objects.filter(pk=make(tenant, "Old order").pk).update(state=Thread.State.ARCHIVED)
    assert told in console.get(LIST, {"q": "order"}).content.decode()


@pytest.mark.parametrize("as_owner", [False, True])
def test_what_was_said_where_a_reason_is_asked_is_not_found_and_that_is_told(
    as_owner: bool, console: Client, olivia: User, tenant: Tenant, other_tenant: Tenant
) -> None:
    """Not even that it was said: neither in the list nor by going on from thread to thread."""
    told = "Where a reason is asked before anybody reads, titles and references are searched, not what was said."
    client = signed_in(olivia) if as_owner else console
    first, second = make(tenant, "First", external_ref="ref 1"), make(tenant, "Second")
    for thread in (first, second):
        say(thread, tenant, Draft(role="user", content="I have cancer"))
    elsewhere = make(other_tenant, "Elsewhere")
    say(elsewhere, other_tenant, Draft(role="user", content="No cancer, luckily"))
    visible = [] if as_owner else ["Elsewhere"]
    assert titles(client, q="cancer") == [*visible, "Second", "First"]
    assert told not in client.get(LIST, {"q": "cancer"}).content.decode()
    Workspace.objects.filter(pk=tenant.workspace.pk).update(transcript_reason=True)
    assert titles(client, q="cancer") == visible
    with CaptureQueriesContext(connection) as captured:
        assert told in client.get(LIST, {"q": "cancer"}).content.decode()
    assert len([query for query in captured if not str(query["sql"]).startswith(OF_THE_TEST)]) <= 20
    step = client.get(f"{LIST}{second.wire_id}/step/older/", {"_changelist_filters": "q=cancer"})
    assert "end=older" in step["Location"]
    assert titles(client, q="first") == titles(client, q="ref 1") == ["First"]
    assert titles(client, q=first.wire_id) == ["First"]


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
