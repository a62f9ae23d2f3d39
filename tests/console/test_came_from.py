"""Whoever opens a thread from a filtered list stays in that list, whatever they do in the thread."""

import re
from html import unescape
from urllib.parse import parse_qs, urlsplit

import pytest
from django.db import transaction
from django.test import Client
from django.utils import timezone

from tests.conftest import Tenant
from tests.console.conftest import Everything, say
from tests.console.threads import LIST, make, page
from threads import access, branches
from threads.actions import takeover
from threads.actions.messages import Draft
from threads.models import Thread

LISTED = "q=Cat&state=active"
FROM = "_changelist_filters=q%3DCat%26state%3Dactive"
NO_PAGES = ("/files/", "/live/", "/window/", "/find/")  # asked for by the script, or left by nobody


def forked(tenant: Tenant) -> Thread:
    """A thread of two branches and more than a window, taken over, with a note: everything on its page."""
    thread = make(tenant, "Cat")
    say(thread, tenant, *(Draft(role="user", content=f"The cat {number}") for number in range(1, 70)))
    with transaction.atomic():
        branches.fork(thread=access.lock(thread=thread), before=60, actor=tenant.actor, now=timezone.now())
    say(thread, tenant, Draft(role="user", content="Another cat"))
    thread.refresh_from_db()
    return takeover.take_over(actor=tenant.actor, thread=thread, now=timezone.now())


def leads(html: str, thread: Thread) -> list[str]:
    """Where links and forms lead that are about the thread."""
    found = [unescape(each) for each in re.findall(r'(?:href|action)="([^"]*)"', html)]
    own = f"{LIST}{thread.wire_id}/"
    return [each for each in found if each.startswith(("?", own)) and not any(part in each for part in NO_PAGES)]


def test_every_link_and_form_of_a_thread_takes_the_list_along(console: Client, tenant: Tenant) -> None:
    thread = forked(tenant)
    console.post(f"{LIST}{thread.wire_id}/desk/note/", {"text": "Call back"})
    at = f"{LIST}{thread.wire_id}"
    for address in (f"{at}/change/?", f"{at}/change/?branch=1&", f"{at}/window/?at=60&", f"{at}/find/?q=cat&"):
        html = console.get(f"{address}{FROM}").content.decode()
        found = leads(html, thread)
        assert len(found) > 10, address
        assert [each for each in found if parse_qs(urlsplit(each).query).get("_changelist_filters") != [LISTED]] == []
        assert "_changelist_filters" not in console.get(address).content.decode()


def test_a_link_leads_back_to_the_list_as_it_was(console: Client, tenant: Tenant) -> None:
    thread = make(tenant, "Cat")
    assert f'href="{LIST}?q=Cat&amp;state=active"' in page(console, thread, f"?{FROM}")
    assert re.search(rf'data-th-list href="{LIST}"', page(console, thread))


@pytest.mark.parametrize(
    ("deed", "given"),
    [("take_over", {}), ("note", {"text": "Call back"}), ("label", {"labels": "urgent"}), ("assign", {}),
     ("hand_back", {}), ("answer", {"text": " "})],
)  # fmt: skip
def test_what_is_done_at_the_desk_leaves_one_in_the_list(
    deed: str, given: dict[str, str], console: Client, everything: Everything
) -> None:
    at = f"{LIST}{everything.thread.wire_id}"
    done = console.post(f"{at}/desk/{deed}/?{FROM}", given)
    assert done["Location"] == f"{at}/change/?{FROM}#end"


def test_a_deed_that_is_done_or_left_leads_back_with_the_list(console: Client, everything: Everything) -> None:
    at = f"{LIST}{everything.thread.wire_id}"
    asked = console.get(f"{at}/do/delete/?{FROM}").content.decode()
    assert f'href="{at}/change/?{FROM}"' in asked
    assert console.post(f"{at}/do/unarchive/?{FROM}")["Location"] == f"{at}/change/?{FROM}"
    typed = {"typed": everything.thread.wire_id[-6:]}
    assert console.post(f"{at}/do/delete/?{FROM}", typed)["Location"] == f"{LIST}?{LISTED}"
