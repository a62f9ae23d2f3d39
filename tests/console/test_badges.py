"""What the small coloured words beside threads and runs say, and what stands beside them: tokens, cost, time."""

import re
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from tests.conftest import Tenant
from tests.console.conftest import say
from tests.console.threads import LIST, make, page
from tests.lifecycle.conftest import old_thread, policy
from threadhub import console as room
from threadhub.agents.prices import PriceTable
from threadhub.workspaces.models import User
from threads.actions import feedback, takeover
from threads.actions.messages import Draft
from threads.lifecycle import holds, preferences
from threads.models import Run, Thread

STATUSES = {
    Run.Status.QUEUED: "Queued", Run.Status.RUNNING: "Running", Run.Status.REQUIRES_ACTION: "Requires Action",
    Run.Status.SUCCEEDED: "Succeeded", Run.Status.FAILED: "Failed", Run.Status.CANCELLED: "Cancelled",
    Run.Status.EXPIRED: "Expired",
}  # fmt: skip
STYLES = [path.read_text() for path in (Path(room.__file__).parent / "static" / "console").glob("*.css")]


def badges(html: str) -> list[tuple[str, str]]:
    """(kind, words) of each, in order."""
    return re.findall(r'th-badge th-badge-(\w+)">([^<]*)<', html)


def row(client: Client, thread: Thread) -> str:
    """The thread's row of the list."""
    rows = client.get(LIST).content.decode().split("<tr")
    return next(row for row in rows if thread.wire_id in row)


def run(tenant: Tenant, thread: Thread, number: int = 1, **fields: Any) -> Run:
    own = {"workspace": tenant.workspace, "thread": thread, "agent": tenant.agent}
    return Run.objects.create(number=number, **own, **fields)


def text(html: str) -> str:
    return " ".join(re.sub(r"<[^>]+>", " ", html).split())


def test_a_run_says_how_it_is(console: Client, tenant: Tenant) -> None:
    assert STATUSES.keys() == set(Run.Status)
    thread = make(tenant, "Runs")
    for number, status in enumerate(STATUSES, 1):
        run(tenant, thread, number, status=status)
    html = page(console, thread).partition('class="th-facts"')[0]
    assert badges(html) == [(status.value, words) for status, words in STATUSES.items()]
    listed = console.get("/admin/threads/run/").content.decode()
    assert set(badges(listed)) == {(status.value, words) for status, words in STATUSES.items()}


@pytest.mark.parametrize(
    "kind", [*Run.Status, "active", "archived", "trashed", "held", "pinned", "person", "good", "bad", "soon"]
)
def test_every_state_has_a_colour_of_its_own(kind: str) -> None:
    assert any(re.search(rf"\.th-badge-{kind}\b[^{{}}]*{{[^}}]*background", style) for style in STYLES)


@pytest.mark.parametrize(
    ("spent", "told"),
    [
        ({"input_tokens": 1_200, "output_tokens": 34, "cost": Decimal("0.01234")}, "1,200 → 34 tokens · 0.0123 EUR"),
        ({"input_tokens": 5, "output_tokens": 1_034, "cost": Decimal("0.00001")}, "5 → 1,034 tokens · < 0.0001 EUR"),
        ({"input_tokens": 5, "output_tokens": 7}, "5 → 7 tokens"),
        ({"input_tokens": 5, "output_tokens": 7, "cost": Decimal(3), "unpriced": 1}, "5 → 7 tokens"),
        ({"input_tokens": 5}, "5 → 0 tokens"),
        ({}, ""),
    ],
)
def test_a_run_says_what_it_took(
    spent: dict[str, Any], told: str, console: Client, tenant: Tenant, settings: Any
) -> None:
    settings.PRICES = PriceTable.parse('{"currency": "EUR", "prices": {}}')
    now, thread = timezone.now(), make(tenant, "Spent")
    times = {"started_at": now - timedelta(seconds=2.5), "finished_at": now}
    run(tenant, thread, status="succeeded", provider="echo", model="m-1", **times, **spent)
    note = re.search(r'<div class="th-run .*?</div>', page(console, thread), re.S)
    assert note is not None
    shown = text(note[0]).replace("&lt;", "<")
    assert shown == " ".join(filter(None, ["Succeeded echo · m-1", told, "2.5 s"]))


def test_a_failed_run_says_why(console: Client, tenant: Tenant) -> None:
    thread = make(tenant, "Failed")
    run(tenant, thread, status="failed", error_code="provider_timeout", error_message="It took too long.")
    assert '<span class="th-run-error">It took too long.</span>' in page(console, thread)


def test_a_thread_says_how_it_was_rated(console: Client, tenant: Tenant) -> None:
    thread, unrated = make(tenant, "Rated"), make(tenant, "Unrated")
    answers = say(thread, tenant, *[Draft(role="assistant", content=f"Answer {number}") for number in range(3)])
    for answer, rating in zip(answers, (1, 1, -1), strict=True):
        feedback.give(actor=tenant.actor, thread=thread, message=answer, rating=rating, now=timezone.now())
    assert badges(row(console, thread)) == [("active", "Active"), ("good", "2 good"), ("bad", "1 bad")]
    assert badges(row(console, unrated)) == [("active", "Active")]


@pytest.mark.parametrize(
    ("action", "told", "in_full"),
    [
        ("archive", "Archived", "Archived 2"),
        ("trash", "Trashed", "Into the trash 2"),
        ("purge", "Destroyed", "Destroyed for ever 2"),
    ],
)
def test_a_thread_says_what_becomes_of_it(
    action: str, told: str, in_full: str, console: Client, tenant: Tenant
) -> None:
    preferences.change(actor=tenant.actor, now=timezone.now(), trash_days=7)
    policy(tenant, action, 90)
    expiring = {days: old_thread(tenant, days) for days in (100, 89.5, 85.5, 30.5)}
    found = {days: badges(row(console, thread))[-1] for days, thread in expiring.items()}
    soon = ("soon", f"{told} soon")
    assert found == {100: soon, 89.5: soon, 85.5: ("soon", f"{told} in 4 d"), 30.5: ("later", f"{told} in 59 d")}
    becomes = text(page(console, expiring[30.5])).partition("What becomes of it ")[2]
    assert becomes.startswith(in_full), becomes[:80]


def test_a_thread_says_that_it_is_pinned(console: Client, tenant: Tenant) -> None:
    policy(tenant, "purge", 90)
    thread = old_thread(tenant, 80.5)
    deed = f"{LIST}{thread.wire_id}/do"
    asked = console.get(f"{deed}/pin/").content.decode()
    assert "No policy archives, trashes or destroys it until it is unpinned." in text(asked)
    assert "The thread is pinned." in console.post(f"{deed}/pin/", follow=True).content.decode()
    assert badges(row(console, thread)) == [("active", "Active"), ("pinned", "Pinned")]
    facts = page(console, thread).partition('class="th-facts"')[2]
    assert ("pinned", "Pinned") in badges(facts)
    assert "What becomes of it Nothing as things stand" in text(facts)
    assert f"{deed}/pin/" not in facts
    assert "The thread is no longer pinned." in console.post(f"{deed}/unpin/", follow=True).content.decode()
    assert badges(row(console, thread)) == [("active", "Active"), ("later", "Destroyed in 9 d")]


def test_a_thread_says_that_it_is_held(console: Client, tenant: Tenant) -> None:
    policy(tenant, "purge", 90)
    held, free = old_thread(tenant, 80.5), old_thread(tenant, 80.5)
    holds.place(actor=tenant.actor, now=timezone.now(), scope="thread", target_id=held.pk, reason="A case.")
    assert badges(row(console, held)) == [("active", "Active"), ("held", "On hold")]
    assert badges(row(console, free)) == [("active", "Active"), ("later", "Destroyed in 9 d")]
    facts = page(console, held).partition('class="th-facts"')[2]
    assert ("held", "On hold") in badges(facts)
    assert "What becomes of it Nothing while it is on hold" in text(facts)


def test_a_thread_says_who_has_it(console: Client, root: User, tenant: Tenant) -> None:
    taken, given = make(tenant, "Taken"), make(tenant, "Given")
    takeover.take_over(actor=tenant.actor, thread=taken, now=timezone.now())
    Thread.objects.filter(pk=taken.pk).update(taken_over_by_id=root.pk)
    Thread.objects.filter(pk=given.pk).update(assignee_id=root.pk)
    assert badges(row(console, taken)) == [("active", "Active"), ("person", "With root")]
    assert badges(row(console, given)) == [("active", "Active"), ("assigned", "For root")]
