"""What pages say beside their tables: who did something, what a button does, that a list is empty."""

import pytest
from django.test import Client
from django.utils import timezone

from tests.conftest import Tenant
from tests.console.conftest import Everything
from threadhub.console import identities, search_terms
from threadhub.console.conversations import marks
from threadhub.console.templatetags.console import headed
from threadhub.lib import ids
from threadhub.workspaces.models import ApiKey, User
from threads.lifecycle import holds


def test_people_and_keys_are_told_by_their_names(tenant: Tenant, django_assert_num_queries: object) -> None:
    key = ApiKey.objects.get(workspace=tenant.workspace)
    User.objects.filter(pk=tenant.owner.pk).update(first_name="Ada", last_name="Byron")
    gone = ids.new()
    asked = [f"user:{tenant.owner.pk}", f"key:{key.pk}", f"user:{gone}", "system", "user:none", ""]
    with django_assert_num_queries(2):  # type: ignore[operator]
        found = identities.names(asked)
    assert found == {
        f"user:{tenant.owner.pk}": "Ada Byron",
        f"key:{key.pk}": "key “test”",
        f"user:{gone}": ids.encode("user", gone),
        "system": "system",
        "user:none": "user:none",
    }


def test_a_list_names_those_who_did_it(console: Client, tenant: Tenant) -> None:
    holds.place(actor=tenant.actor, scope="workspace", reason="court", now=timezone.now())
    assert "key “test”" in console.get("/admin/threads/hold/").content.decode()


def test_the_page_of_an_export_is_headed_by_its_id_as_it_is_spelled(console: Client, everything: Everything) -> None:
    html = console.get(everything.pages()["threads/export page"]).content.decode()
    wire_id = everything.things()["threads/export"]
    assert wire_id in html
    assert wire_id.capitalize() not in html
    assert [headed(text) for text in ("threads", "hold on thread", wire_id)] == ["Threads", "Hold on thread", wire_id]


def test_an_agents_history_is_headed_by_the_agent(console: Client, everything: Everything) -> None:
    html = console.get(everything.pages()["agents/agent history"]).content.decode()
    assert f"/admin/agents/agent/{everything.tenant.agent.pk}/change/" in html


def test_an_empty_list_says_why_it_is_empty(console: Client, tenant: Tenant) -> None:
    assert "Nothing here yet" in console.get("/admin/threads/thread/").content.decode()
    assert "Nothing is found" in console.get("/admin/threads/thread/?q=nothing").content.decode()
    assert "Nothing is found" in console.get("/admin/threads/thread/?state=archived").content.decode()
    assert "The trash is empty" in console.get("/admin/threads/thread/?state=trashed").content.decode()
    assert "Nothing is found" in console.get("/admin/threads/thread/?state=trashed&q=x").content.decode()


def test_an_excerpt_reads_as_prose() -> None:
    said = "Here is **your order**:\n\n```\nnumber = `4711`\n``` <b>soon</b>"
    assert marks.excerpt(said, ["order"]) == (
        'Here is your <mark class="th-hit">order</mark>: number = 4711 &lt;b&gt;soon&lt;/b&gt;'
    )
    assert "**your order**" in marks.excerpt(said, ["**"]).replace('<mark class="th-hit">**</mark>', "**")


@pytest.mark.parametrize(
    ("term", "wanted"),
    [
        ("refund order", ["refund", "order"]),
        ('"refund"', ["refund"]),
        ('"refund  the order" now', ["refund the order", "now"]),
        ('"refund the', ["refund the"]),
        ('refund -order -"of may" or money OR "the tide"', ["refund", "money", "the tide"]),
        ('""', ['""']),
        (" ", []),
    ],
)
def test_words_and_phrases_of_a_search_are_told_apart(term: str, wanted: list[str]) -> None:
    assert search_terms.read(term).wanted == wanted


def test_an_excerpt_is_of_the_place_where_a_phrase_stands() -> None:
    said = f"{'Hold the line. ' * 60} Please refund, the <i>order</i> of the day. {'And so on. ' * 60}"
    shown = marks.excerpt(said, search_terms.read('"refund the"').wanted)
    assert 'Please <mark class="th-hit">refund, the</mark> &lt;i&gt;order' in shown
    assert shown.count("<mark") == 1
    assert shown.startswith("…")
    assert shown.endswith("…")


def test_a_button_says_what_it_does(console: Client, tenant: Tenant) -> None:
    said = {"erasure": "List what would be erased", "export": "Make the export", "hold": "Place on hold"}
    for noun, words in said.items():
        html = console.get(f"/admin/threads/{noun}/add/").content.decode()
        assert words in html
        assert ">Save<" not in "".join(html.split())


def test_the_actions_of_a_narrow_screen_have_a_name(console: Client, everything: Everything) -> None:
    html = console.get(everything.pages()["threads/thread page"]).content.decode()
    assert 'aria-label="Actions"' in html
