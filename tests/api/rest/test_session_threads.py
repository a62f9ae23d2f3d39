"""`/chat_sessions/{chat_session_id}/threads` and below, with the session's own token and with a key."""

import asyncio
from typing import Any

import pytest

from tests.api.rest.conftest import THREAD_FIELDS, fault, new_thread, open_session, problem, same_404, say, streamed
from tests.clients.plai_stream import read
from tests.conftest import Api, Tenant
from threadhub.lib import ids
from threads.models import Message, Thread


@pytest.fixture
def session(api: Api, tenant: Tenant) -> dict[str, Any]:
    return open_session(api, tenant)


@pytest.fixture(params=["its chat token", "a workspace key"])
def token(request: pytest.FixtureRequest, session: dict[str, Any], tenant: Tenant) -> str:
    text: str = session["chat_token"] if request.param == "its chat token" else tenant.key
    return text


@pytest.fixture
def client(token: str) -> Api:
    return Api(token)


@pytest.fixture
def path(session: dict[str, Any]) -> str:
    return f"/chat_sessions/{session['id']}/threads"


def test_it_makes_threads_that_are_the_visitors(client: Api, path: str, session: dict[str, Any]) -> None:
    for body, content_type in ((b"", ""), (b"{}", "application/json"), (b"", "text/plain;charset=UTF-8")):
        response = client.generic("POST", path, body, content_type)
        assert response.status_code == 200
        thread = response.json()
        assert list(thread) == [*THREAD_FIELDS, "messages"]
        assert (thread["messages"], thread["user_id"], thread["origin"]) == ([], None, "chat_session")
        assert (thread["external_ref"], thread["chat_session_id"]) == ("visitor", session["id"])
        assert client.get(response["Location"]).json() == thread
    assert "Unknown field" in fault(client.post(path, {"external_ref": "other"}), "body", "external_ref")


def test_it_lists_a_bare_array_with_messages(
    client: Api, api: Api, path: str, session: dict[str, Any], django_assert_max_num_queries: Any
) -> None:
    second = client.post(path).json()
    say(api, second, "one", "two")
    # whoever asks (the key, or the session), the session and its agent, the threads, their messages, their files
    with django_assert_max_num_queries(6):
        threads = client.get(path).json()
    assert [thread["id"] for thread in threads] == [second["id"], session["thread_id"]]
    assert [message["content"] for message in threads[0]["messages"]] == ["one", "two"]
    assert [thread["id"] for thread in client.get(f"{path}?order=asc&take=1").json()] == [session["thread_id"]]
    paged = client.get(f"{path}?take=1")
    assert paged["Link"] == f'<http://testserver{path}?take=1&skip=1>; rel="next"'
    assert "Link" not in client.get(f"{path}?take=1&skip=1")
    assert "Known here" in fault(client.get(f"{path}?externalRef=x"), "query", "externalRef")


def test_it_sees_the_visitors_threads_wherever_they_were_made(
    client: Api, api: Api, tenant: Tenant, path: str, session: dict[str, Any]
) -> None:
    by_agent = new_thread(api, tenant, external_ref="visitor")
    elsewhere = open_session(api, tenant)
    strangers = [new_thread(api, tenant, external_ref="other"), new_thread(api, tenant)]
    listed = [thread["id"] for thread in client.get(path).json()]
    assert listed == [elsewhere["thread_id"], by_agent["id"], session["thread_id"]]
    assert client.get(f"{path}/{by_agent['id']}").status_code == 200
    same_404(*(client.get(f"{path}/{thread['id']}") for thread in strangers))


def test_it_deletes(client: Api, api: Api, path: str, session: dict[str, Any]) -> None:
    url = f"{path}/{session['thread_id']}"
    response = client.delete(url)
    assert (response.status_code, response.json()) == (200, {"success": True})
    same_404(client.get(url), client.delete(url), api.get(f"/threads/{session['thread_id']}"))
    assert client.get(path).json() == []


@pytest.mark.usefixtures("transactional_db", "worker")
def test_it_invokes(client: Api, token: str, path: str, session: dict[str, Any]) -> None:
    url = f"{path}/{session['thread_id']}"
    answer = client.post(f"{url}/invoke", {"prompt": "Hello", "enabled_tools": ["web_search"]}).json()
    assert (answer["success"], answer["thread_id"]) == (True, session["thread_id"])
    assert (answer["data"]["answer"], answer["data"]["ignored_tools"]) == ("You said: Hello", ["web_search"])
    told = read([asyncio.run(streamed(token, f"{url}/invoke", {"prompt": "Again"}))])
    assert told.text == "You said: Again"
    assert [message["content"] for message in client.get(url).json()["messages"]] == [
        "Hello",
        "You said: Hello",
        "Again",
        "You said: Again",
    ]
    run = client.get(f"{url}/runs").json()["data"][0]
    replayed = read([asyncio.run(streamed(token, f"{url}/runs/{run['id']}/events"))])
    assert replayed.message_id == told.message_id
    assert len(client.get(f"{url}/messages?order=desc&take=1").json()["data"]) == 1
    problem(client.post(f"{url}/runs/{run['id']}/cancel"), 409, "run_ended")


class TestBounds:
    def test_a_chat_token_opens_nothing_else(self, session: dict[str, Any], tenant: Tenant) -> None:
        visitor, agent, thread = Api(session["chat_token"]), tenant.agent.wire_id, session["thread_id"]
        for url in (
            "/threads",
            f"/threads/{thread}",
            f"/threads/{thread}/messages",
            f"/threads/{thread}/runs",
            "/agents",
            f"/agents/{agent}",
            f"/agents/{agent}/threads",
            f"/agents/{agent}/threads/{thread}",
            "/search?q=x",
            "/tools",
        ):
            assert "own chat session" in problem(visitor.get(url), 403, "permission_missing")["detail"]
        for url in (f"/threads/{thread}/invoke", f"/agents/{agent}/invoke", f"/agents/{agent}/threads"):
            problem(visitor.post(url, {"prompt": "x"}), 403, "permission_missing")
        problem(visitor.delete(f"/threads/{thread}"), 403, "permission_missing")
        assert (Thread.objects.count(), Message.objects.count()) == (1, 0)

    def test_a_visitor_neither_appends_nor_reads_instructions(self, session: dict[str, Any], path: str) -> None:
        visitor, url = Api(session["chat_token"]), f"{path}/{session['thread_id']}"
        problem(visitor.post(f"{url}/messages", {"role": "assistant", "content": "x"}), 405, "method_not_allowed")
        assert visitor.get(f"{url}/runs/run_1/context").status_code == 404
        problem(visitor.patch(url, {"title": "x"}, content_type="application/json"), 405, "method_not_allowed")

    def test_another_session_was_never_there(
        self, api: Api, tenant: Tenant, session: dict[str, Any], mallorys: Api, other_tenant: Tenant
    ) -> None:
        others = [open_session(api, tenant, "visitor"), open_session(mallorys, other_tenant, "visitor")]
        texts = [*(other["id"] for other in others), ids.encode("session", ids.new()), "session_123"]
        visitor, thread = Api(session["chat_token"]), session["thread_id"]
        same_404(
            *(visitor.get(f"/chat_sessions/{text}/threads") for text in texts),
            *(visitor.post(f"/chat_sessions/{text}/threads") for text in texts),
            *(visitor.get(f"/chat_sessions/{text}/threads/{thread}") for text in texts),
            *(visitor.delete(f"/chat_sessions/{text}/threads/{thread}") for text in texts),
            *(visitor.post(f"/chat_sessions/{text}/threads/{thread}/invoke", {"prompt": "x"}) for text in texts),
            *(mallorys.get(f"/chat_sessions/{session['id']}/threads") for _ in texts),
        )

    def test_other_peoples_threads_were_never_there(
        self, client: Api, api: Api, tenant: Tenant, path: str, mallorys: Api, other_tenant: Tenant
    ) -> None:
        stranger = new_thread(api, tenant, external_ref="other")
        foreign = new_thread(mallorys, other_tenant, external_ref="visitor")
        texts = [stranger["id"], foreign["id"], ids.encode("thread", ids.new()), "thread_456"]
        same_404(
            *(client.get(f"{path}/{text}") for text in texts),
            *(client.delete(f"{path}/{text}") for text in texts),
            *(client.post(f"{path}/{text}/invoke", {"prompt": "x"}) for text in texts),
            *(client.get(f"{path}/{text}/messages") for text in texts),
            *(client.get(f"{path}/{text}/runs") for text in texts),
        )
        assert Thread.objects.count() == 3

    def test_a_key_that_may_only_read_does_not_write_through_a_session(
        self, tenant: Tenant, session: dict[str, Any], path: str
    ) -> None:
        from threadhub.workspaces import keys
        from threadhub.workspaces.permissions import Scope

        _, secret = keys.create(workspace=tenant.workspace, user=tenant.owner, name="reader", scopes=[Scope.READ])
        reader, url = Api(secret), f"{path}/{session['thread_id']}"
        assert reader.get(url).status_code == 200
        problem(reader.post(path), 403, "permission_missing")
        problem(reader.delete(url), 403, "permission_missing")
        problem(reader.post(f"{url}/invoke", {"prompt": "x"}), 403, "permission_missing")
