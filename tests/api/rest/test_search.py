"""`GET /search`."""

from typing import Any

import pytest

from tests.api.rest.conftest import fault, new_thread, path_of, say
from tests.conftest import Api, Tenant
from threadhub.agents import configure
from threadhub.workspaces.models import User
from threads import search


def found(response: Any) -> list[str]:
    assert response.status_code == 200, response.content
    return [hit["message_id"] for hit in response.json()["data"]]


def test_it_finds_messages_with_a_marked_snippet(api: Api, tenant: Tenant, django_assert_num_queries: Any) -> None:
    thread = new_thread(api, tenant, title="Order")
    message, _ = say(api, thread, "The parcel <b>never</b> came & I waited", "something else")
    # the key, the search for messages in its time (a transaction), and what is shown of them
    with django_assert_num_queries(7):
        page = api.get("/search?q=parcel").json()
    assert list(page) == ["has_more", "next", "previous", "since", "data"]
    assert page["since"] is None
    (hit,) = page["data"]
    assert hit == {
        "thread_id": thread["id"],
        "agent_id": tenant.agent.wire_id,
        "thread_title": "Order",
        "message_id": message["id"],
        "position": 1,
        "role": "user",
        "created_at": message["created_at"],
        "snippet": "<mark>parcel</mark> &lt;b&gt;never&lt;/b&gt; came &amp; I waited",
    }


def test_all_words_a_phrase_and_without(api: Api, thread: dict[str, Any]) -> None:
    one, two = (message["id"] for message in say(api, thread, "red apple pie", "pie of red apples, red"))
    assert found(api.get("/search", {"q": "red pie"})) == [two, one]
    assert found(api.get("/search", {"q": '"red apple"'})) == [one]
    assert found(api.get("/search", {"q": "red -apples"})) == [one]
    for text in ("'", '"', "(", "a & | !", "%", "\\", "<->", "a" * 1000, "🙂"):
        assert api.get("/search", {"q": text}).status_code == 200


def test_pages_and_filters(api: Api, tenant: Tenant, as_user: Any, alice: User) -> None:
    thread = new_thread(api, tenant)
    messages = [message["id"] for message in say(api, thread, *["needle"] * 5)][::-1]
    hers = new_thread(as_user(alice), tenant)
    (her_message,) = (message["id"] for message in say(api, hers, "needle"))
    agent = configure.create(actor=tenant.actor, name="Second")
    assert found(api.get("/search?q=needle")) == [her_message, *messages]
    assert found(api.get(f"/search?q=needle&userId={alice.wire_id}")) == [her_message]
    assert found(api.get(f"/search?q=needle&agentId={agent.wire_id}")) == []
    assert found(api.get("/search?q=needle&agentId=nonsense")) == []
    page = api.get("/search?q=needle&take=4").json()
    assert page["has_more"] is True
    rest = api.get(path_of(page["next"])).json()
    assert [hit["message_id"] for hit in rest["data"]] == messages[3:]
    assert (rest["has_more"], rest["next"]) == (False, None)
    assert api.get(path_of(rest["previous"])).json() == page
    assert found(api.get("/search?q=needle&take=0")) == []


@pytest.mark.parametrize("few", [0, 200], ids=["by the index of words", "message by message"])
def test_parts_are_found_either_way(
    api: Api, tenant: Tenant, as_user: Any, alice: User, monkeypatch: pytest.MonkeyPatch, few: int
) -> None:
    monkeypatch.setattr(search, "FEW_THREADS", few)
    hers = new_thread(as_user(alice), tenant)
    first, second, _ = (message["id"] for message in say(api, hers, "needle", "a needle", "hay"))
    say(api, new_thread(api, tenant), "needle")
    assert found(as_user(alice).get("/search?q=needle")) == [second, first]
    assert found(api.get(f"/search?q=needle&userId={alice.wire_id}")) == [second, first]
    assert found(as_user(alice).get("/search?q=needle&take=1&skip=1")) == [first]


def test_what_others_say_more_often_hides_nothing_of_ones_own(
    api: Api, tenant: Tenant, as_user: Any, alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search, "NEWEST_OF_ALL", 1)
    (hers,) = (message["id"] for message in say(api, new_thread(as_user(alice), tenant), "needle"))
    say(api, new_thread(api, tenant), "needle", "needle")
    assert found(as_user(alice).get("/search?q=needle")) == [hers]


def test_it_tells_how_far_back_it_looked(
    api: Api, tenant: Tenant, thread: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search, "NEWEST_OF_ALL", 2)
    monkeypatch.setattr(search, "FEW_THREADS", 0)
    _, second, third = say(api, thread, "needle", "needle", "needle")
    page = api.get(f"/search?q=needle&agentId={tenant.agent.wire_id}").json()
    assert [hit["message_id"] for hit in page["data"]] == [third["id"], second["id"]]
    assert page["since"] == second["created_at"]
    assert api.get("/search?q=needle").json()["since"] is None


def test_threads_in_the_trash_are_not_found(api: Api, thread: dict[str, Any]) -> None:
    say(api, thread, "needle")
    assert len(found(api.get("/search?q=needle"))) == 1
    assert api.delete(f"/threads/{thread['id']}").status_code == 200
    assert found(api.get("/search?q=needle")) == []


def test_it_finds_only_what_one_may_see(
    api: Api, tenant: Tenant, thread: dict[str, Any], mallorys: Api, as_user: Any, alice: User
) -> None:
    say(api, thread, "confidential")
    assert found(mallorys.get("/search?q=confidential")) == []
    assert found(as_user(alice).get("/search?q=confidential")) == []
    assert mallorys.get(f"/search?q=confidential&agentId={tenant.agent.wire_id}").json()["data"] == []


@pytest.mark.parametrize(
    ("query", "name", "words"),
    [
        ("", "q", "what to search for"),
        ("q=", "q", "what to search for"),
        ("q=%20", "q", "what to search for"),
        ("q=a%00", "q", "NUL"),
        ("q=" + "a" * 1001, "q", "1000"),
        ("q=a&query=b", "query", "Unknown"),
        ("q=a&skip=1001", "skip", "1000"),
        ("q=a&take=x", "take", "whole number"),
    ],
)
def test_its_parameters_are_strict(api: Api, query: str, name: str, words: str) -> None:
    assert words in fault(api.get(f"/search?{query}"), "query", name)
