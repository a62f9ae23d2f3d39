"""npm `@qelos/sdk`, unmodified, in Node: threads and chat, authenticated in every way it has."""

import json

import pytest

from tests.clients import seed_texts
from tests.clients.ai_answers import answer_of, spoken_in, text_of
from tests.clients.js_sdk import WAYS, run, said
from tests.clients.shapes import differences
from tests.hub import Hub


@pytest.mark.parametrize("way", WAYS)
def test_threads_are_created_read_listed_and_deleted(hub: Hub, way: str) -> None:
    got = run(hub, "threads", way)
    assert differences(got["created"], seed_texts.ai_response("Create Thread")) == []
    assert (got["created"]["title"], got["created"]["integration"]) == ("Customer Support Chat", hub.agent_id)
    assert got["created"]["workspace"] == hub.workspace_id
    assert got["untitled"].get("title") is None
    assert got["read"] == {**got["created"], "updated": got["read"]["updated"]}
    created, untitled = got["created"]["_id"], got["untitled"]["_id"]
    assert [thread["_id"] for thread in got["listed"]] == [untitled, created]
    assert [thread["_id"] for thread in got["secondPage"]] == [created]
    assert differences(got["secondPage"], seed_texts.ai_response("List Threads")) == []
    assert all(thread["messages"] == [] for thread in got["all"])
    assert got["deleted"] == seed_texts.ai_response("Delete Thread")
    assert said(got["afterwards"], way) == said(got["deletedAgain"], way)
    assert said(got["afterwards"], way) in ("", "thread not found")
    assert got["left"] == [untitled]


def test_the_older_names_do_the_same(hub: Hub) -> None:
    got = run(hub, "olderNames")
    assert got["read"]["_id"] == got["listed"][0]["_id"] == got["created"]["_id"]
    assert got["deleted"] == {"success": True}


def test_the_text_undefined_is_no_filter(hub: Hub) -> None:
    got = run(hub, "undefinedFilters")
    assert got["listed"][0] == got["id"]
    assert "user=undefined" in got["requests"][-1][1], "the client sends it, and the hub must bear it"


@pytest.mark.parametrize("way", ["api key", "signed in"])
def test_filters_narrow_and_unknown_ones_are_ignored(hub: Hub, way: str) -> None:
    got = run(hub, "filters", way)
    assert got["id"] in got["user"]
    assert got["id"] in got["workspace"]
    assert got["noUser"] == got["noWorkspace"] == got["noIntegration"] == []
    assert got["unknownKey"] > 0


def test_the_administrator_client_is_understood(hub: Hub) -> None:
    got = run(hub, "asAdministrator")
    assert got["read"]["_id"] == got["listed"][0]["_id"] == got["impersonated"]["_id"] == got["created"]["_id"]
    assert answer_of(got["said"]) == "You said: By the administrator"
    assert got["deleted"] == {"success": True}
    asked = {method + " " + path.partition("?")[2] for method, path in got["requests"] if "?" in path}
    assert asked == {
        "GET bypassAdmin=true",
        "DELETE bypassAdmin=true",
        "POST bypassAdmin=true",
        "GET bypassAdmin=true&user=undefined&limit=1&sort=-created",
    }


def test_the_message_of_an_error_is_the_servers(hub: Hub) -> None:
    got = {name: said(failure) for name, failure in run(hub, "refusals").items()}
    assert got["absent"] == got["noId"] == "thread not found"
    assert got["noSuchIntegration"] == "integration not found"
    assert "integration" in got["noIntegration"]


@pytest.mark.parametrize("way", WAYS)
def test_chat_answers_alone_and_in_a_thread(hub: Hub, way: str) -> None:
    got = run(hub, "chat", way)
    assert answer_of(got["alone"]) == "You said: Without a thread"
    assert got["storedNothing"] is True
    assert json.loads(answer_of(got["context"]))["roles"] == "uau"
    assert spoken_in(got["thread"]) == [
        ("user", "First"),
        ("assistant", answer_of(got["inThread"])),
        ("user", "/context"),
        ("assistant", answer_of(got["context"])),
    ]


@pytest.mark.parametrize("way", WAYS)
def test_streams_are_read_by_the_clients_own_parser(hub: Hub, way: str) -> None:
    got = run(hub, "stream", way)
    assert text_of(got["alone"]) == "You said: one two three"
    assert spoken_in(got["thread"]) == [("user", "Ünïcode ✓ 🙂"), ("assistant", text_of(got["inThread"]))]


def test_a_stream_can_be_read_by_a_callback_that_stops(hub: Hub) -> None:
    got = run(hub, "manualStream")
    assert text_of(got["all"]) == "You said: one two three"
    assert len(got["all"]) > 3
    assert [chunk["content"] for chunk in got["two"]] == [chunk["content"] for chunk in got["all"][:2]]


def test_chunks_arrive_while_the_answer_is_made(hub: Hub) -> None:
    arrivals = run(hub, "slowStream")["arrivals"]
    (first_kind, first), (last_kind, last) = arrivals[0], arrivals[-1]
    assert (first_kind, last_kind) == ("chunk", "done")
    assert last - first > 500, "four words follow the first two, 200 ms apart"


def test_the_older_chat_names_do_the_same(hub: Hub) -> None:
    got = run(hub, "olderChatNames")
    assert answer_of(got["alone"]) == "You said: one"
    assert text_of(got["streamed"]) == "You said: three"
    assert spoken_in(got["thread"]) == [
        ("user", "two"),
        ("assistant", answer_of(got["inThread"])),
        ("user", "four"),
        ("assistant", text_of(got["streamedInThread"])),
    ]


def test_a_resent_history_is_not_stored_twice(hub: Hub) -> None:
    messages = spoken_in(run(hub, "resentHistory"))
    assert [text for role, text in messages if role == "user"] == ["First", "Second"]
    assert len(messages) == 4


def test_chat_takes_every_option_of_the_client(hub: Hub) -> None:
    got = run(hub, "everyOption")
    assert answer_of(got["said"]).split() == ["You", "said:", "one"]
    assert got["requests"][-1][1].endswith("/chat-completion?source=test&nothing=undefined")


def test_a_client_tool_comes_back_to_the_client_and_its_result_is_used(hub: Hub) -> None:
    got = run(hub, "clientTools")
    assert got["pending"]["type"] == "client_tool_calls"
    assert got["pending"]["assistantToolCalls"][0]["function"]["name"] == "cart_total"
    assert "42 EUR" in answer_of(got["done"])
    assert spoken_in(got["thread"])[-1] == ("assistant", answer_of(got["done"]))


def test_the_message_of_a_refused_chat_is_the_servers(hub: Hub) -> None:
    got = run(hub, "chatRefusals")
    assert said(got["agent"]) == "integration not found"
    assert said(got["thread"]) == "thread not found"
    assert "messages" in said(got["messages"])
    assert said(got["model"])
    assert said(got["stream"]) == said(got["streamInThread"]) == "http 404: not found"
    assert answer_of(got["again"]) == "You said: again"
