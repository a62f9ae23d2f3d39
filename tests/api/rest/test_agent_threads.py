"""`/agents/{agent_id}/threads` and below."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import quote

import pytest
from django.db import connection

from tests.api.rest.conftest import THREAD_FIELDS, fault, ids_of, new_thread, problem, same_404, say
from tests.conftest import Api, Tenant
from threadhub.agents import configure
from threadhub.agents.models import Agent
from threadhub.lib import ids
from threadhub.workspaces.models import User
from threads.models import Thread


@pytest.fixture
def second(tenant: Tenant) -> Agent:
    return configure.create(actor=tenant.actor, name="Second")


class TestList:
    def test_it_lists_this_agents_threads_without_messages(self, api: Api, tenant: Tenant, second: Agent) -> None:
        thread = new_thread(api, tenant)
        say(api, thread, "Hello")
        api.post(f"/agents/{second.wire_id}/threads")
        page = api.get(f"/agents/{tenant.agent.wire_id}/threads").json()
        assert list(page) == ["count", "has_more", "next", "previous", "data"]
        assert page["count"] == 1
        assert list(page["data"][0]) == THREAD_FIELDS
        assert page["data"][0]["messages_count"] == 1

    def test_it_takes_every_filter_of_the_other_list(self, api: Api, tenant: Tenant, second: Agent) -> None:
        path = f"/agents/{tenant.agent.wire_id}/threads"
        thread = new_thread(api, tenant, external_ref="chat_1", title="One", metadata={"a": 1})
        new_thread(api, tenant, external_ref="chat_2")
        for query in (
            "externalRef=chat_1",
            "title=one",
            'metadata={"a":1}',
            f"userId={thread['user_id']}&externalRef=chat_1",
            f"agentId={tenant.agent.wire_id}&state=active&take=1&skip=1",
            "date_from=2020-01-01&date_to=2999-12-31&order=asc&take=1",
        ):
            assert ids_of(api.get(f"{path}?{query}")) == [thread["id"]], query
        assert ids_of(api.get(f"{path}?agentId={second.wire_id}")) == []
        assert "Did you mean 'externalRef'" in fault(api.get(f"{path}?externlRef=chat_1"), "query", "externlRef")

    def test_it_asks_the_same_number_of_queries_for_any_page(
        self, api: Api, tenant: Tenant, django_assert_num_queries: Any
    ) -> None:
        for _ in range(4):
            new_thread(api, tenant)
        # the key, the agent, the threads with all that stands beside them
        with django_assert_num_queries(3):
            api.get(f"/agents/{tenant.agent.wire_id}/threads")

    def test_an_agent_that_one_does_not_see_was_never_there(self, api: Api, other_tenant: Tenant) -> None:
        body = same_404(
            *(
                method(f"/agents/{agent_id}/threads")
                for agent_id in (other_tenant.agent.wire_id, ids.encode("agent", ids.new()), "agent_123", "%00")
                for method in (api.get, api.post)
            )
        )
        assert body["detail"] == "Agent not found."


class TestCreate:
    def test_it_answers_200_with_the_thread_and_its_address(self, api: Api, tenant: Tenant) -> None:
        body = {"external_ref": "ticket_1", "title": "Help", "metadata": {"plan": "gold"}}
        response = api.post(f"/agents/{tenant.agent.wire_id}/threads", body)
        assert response.status_code == 200
        thread = response.json()
        assert list(thread) == THREAD_FIELDS
        assert {name: thread[name] for name in body} == body
        assert thread["agent_id"] == tenant.agent.wire_id
        assert thread["user_id"] == tenant.owner.wire_id
        assert (thread["state"], thread["origin"], thread["messages_count"]) == ("active", "direct", 0)
        assert response["Location"] == f"/threads/{thread['id']}"
        assert api.get(response["Location"]).json() == {**thread, "messages": []}

    @pytest.mark.parametrize("content_type", ["application/json", "text/plain;charset=UTF-8", "", "text/plain"])
    def test_it_takes_json_under_the_names_that_browsers_give_it(
        self, api: Api, tenant: Tenant, content_type: str
    ) -> None:
        path = f"/agents/{tenant.agent.wire_id}/threads"
        response = api.generic("POST", path, b'{"external_ref": "x"}', content_type)
        assert response.json()["external_ref"] == "x"

    def test_no_body_and_nulls_are_nothing_said(self, api: Api, tenant: Tenant) -> None:
        path = f"/agents/{tenant.agent.wire_id}/threads"
        assert api.generic("POST", path, b"", "").json()["external_ref"] is None
        thread = api.post(path, {"external_ref": None, "title": None, "metadata": None}).json()
        assert (thread["external_ref"], thread["title"], thread["metadata"]) == (None, None, {})

    @pytest.mark.parametrize(
        ("body", "loc", "words"),
        [
            ({"externalRef": "x"}, "externalRef", "Did you mean 'external_ref'"),
            ({"user_id": "user_1"}, "user_id", "Known here: title, metadata, external_ref"),
            ({"external_ref": 1}, "external_ref", "valid string"),
            ({"external_ref": ["x"]}, "external_ref", "valid string"),
            ({"external_ref": "x" * 513}, "external_ref", "512"),
            ({"title": True}, "title", "valid string"),
            ({"title": "x" * 1001}, "title", "1000"),
            ({"metadata": []}, "metadata", "dictionary"),
            ({"metadata": {"a": "x" * 17000}}, "metadata", "16384 bytes"),
        ],
    )
    def test_what_is_not_valid_is_named(
        self, api: Api, tenant: Tenant, body: dict[str, Any], loc: str, words: str
    ) -> None:
        assert words in fault(api.post(f"/agents/{tenant.agent.wire_id}/threads", body), "body", loc)
        assert Thread.objects.count() == 0

    def test_the_longest_reference_fits_the_index(self, api: Api, tenant: Tenant) -> None:
        assert new_thread(api, tenant, external_ref="𝄞" * 512)["external_ref"] == "𝄞" * 512

    def test_broken_json_is_400_and_other_types_415(self, api: Api, tenant: Tenant) -> None:
        path = f"/agents/{tenant.agent.wire_id}/threads"
        problem(api.generic("POST", path, b"{", "application/json"), 400, "bad_request")
        problem(api.generic("POST", path, b"a=b", "application/x-www-form-urlencoded"), 415, "unsupported_media_type")
        problem(api.generic("POST", path, b"[]", "application/json"), 422, "invalid")
        problem(api.generic("POST", path, b'{"title": "\\u0000"}', "application/json"), 422, "invalid")
        problem(api.generic("POST", path, b'{"title": "a", "title": "b"}', "application/json"), 422, "invalid")

    def test_a_disabled_agent_takes_no_new_threads(self, api: Api, tenant: Tenant) -> None:
        api.patch(f"/agents/{tenant.agent.wire_id}", {"active": False}, content_type="application/json")
        problem(api.post(f"/agents/{tenant.agent.wire_id}/threads"), 409, "agent_disabled")

    def test_a_viewer_may_not(self, as_user: Any, victor: User, tenant: Tenant) -> None:
        problem(as_user(victor).post(f"/agents/{tenant.agent.wire_id}/threads"), 403, "permission_missing")


class TestRetrieve:
    def test_it_answers_the_thread_with_its_messages(self, api: Api, tenant: Tenant) -> None:
        thread = new_thread(api, tenant)
        say(api, thread, "one", "two")
        read = api.get(f"/agents/{tenant.agent.wire_id}/threads/{thread['id']}").json()
        assert list(read) == [*THREAD_FIELDS, "messages"]
        assert [message["content"] for message in read["messages"]] == ["one", "two"]

    def test_through_another_agent_it_was_never_there(
        self, api: Api, tenant: Tenant, second: Agent, other_tenant: Tenant, mallorys: Api
    ) -> None:
        thread = new_thread(api, tenant)
        foreign = new_thread(mallorys, other_tenant)
        paths = [
            f"/agents/{second.wire_id}/threads/{thread['id']}",
            f"/agents/{tenant.agent.wire_id}/threads/{foreign['id']}",
            f"/agents/{other_tenant.agent.wire_id}/threads/{foreign['id']}",
            f"/agents/{other_tenant.agent.wire_id}/threads/{thread['id']}",
            f"/agents/nonsense/threads/{thread['id']}",
            f"/agents/{tenant.agent.wire_id}/threads/thread_456",
            f"/agents/{tenant.agent.wire_id}/threads/{thread['id'].upper()}",
        ]
        assert same_404(*(api.get(path) for path in paths))["detail"] == "Thread not found."


class TestByRef:
    @staticmethod
    def put(api: Api, tenant: Tenant, ref: str, body: dict[str, Any] | None = None) -> Any:
        path = f"/agents/{tenant.agent.wire_id}/threads/by-ref/{quote(ref, safe='')}"
        return api.put(path, body or {}, content_type="application/json")

    def test_it_makes_one_once(self, api: Api, tenant: Tenant) -> None:
        made = self.put(api, tenant, "chat_1", {"title": "First", "metadata": {"a": 1}})
        assert made.status_code == 201
        assert made["Location"] == f"/threads/{made.json()['id']}"
        assert (made.json()["external_ref"], made.json()["title"]) == ("chat_1", "First")
        again = self.put(api, tenant, "chat_1", {"title": "Second"})
        assert again.status_code == 200
        assert again.json() == made.json()

    def test_it_needs_no_body(self, api: Api, tenant: Tenant) -> None:
        path = f"/agents/{tenant.agent.wire_id}/threads/by-ref/x"
        assert api.generic("PUT", path, b"", "").status_code == 201

    @pytest.mark.parametrize(
        "ref",
        ["a/b", "/", "//", "a/../b", "é ü", "a?b#c", "100%", "%2F", "a\nb", "\r\n", "🙂", "by-ref/x", "a+b c", "x/"],
    )
    def test_the_reference_may_be_any_text(self, api: Api, tenant: Tenant, ref: str) -> None:
        made = self.put(api, tenant, ref)
        assert (made.status_code, made.json()["external_ref"]) == (201, ref)
        assert self.put(api, tenant, ref).json()["id"] == made.json()["id"]
        assert ids_of(api.get("/threads", {"externalRef": ref})) == [made.json()["id"]]

    def test_what_no_reference_can_be_is_refused(self, api: Api, tenant: Tenant) -> None:
        assert "NUL" in fault(self.put(api, tenant, "a\0b"), "path", "external_ref")
        assert "512" in fault(self.put(api, tenant, "x" * 513), "path", "external_ref")
        assert "Did you mean 'title'" in fault(self.put(api, tenant, "x", {"titel": "a"}), "body", "titel")
        assert Thread.objects.count() == 0

    def test_of_several_it_takes_the_newest(self, api: Api, tenant: Tenant) -> None:
        new_thread(api, tenant, external_ref="x")
        newest = new_thread(api, tenant, external_ref="x")
        assert self.put(api, tenant, "x").json()["id"] == newest["id"]

    def test_it_finds_only_ones_own(
        self, api: Api, tenant: Tenant, second: Agent, mallorys: Api, other_tenant: Tenant, as_user: Any, alice: User
    ) -> None:
        mine = self.put(api, tenant, "x").json()["id"]
        assert self.put(mallorys, other_tenant, "x").status_code == 201
        hers = self.put(as_user(alice), tenant, "x")
        assert hers.status_code == 201
        assert hers.json()["id"] != mine
        other = api.put(f"/agents/{second.wire_id}/threads/by-ref/x", {}, content_type="application/json")
        assert other.status_code == 201
        same_404(self.put(api, other_tenant, "x"), self.put(mallorys, tenant, "x"))

    @pytest.mark.django_db(transaction=True)
    def test_many_at_once_make_one(self, api: Api, tenant: Tenant) -> None:
        def put(_: int) -> tuple[int, str]:
            try:
                response = self.put(Api(tenant.key), tenant, "race")
                return response.status_code, response.json()["id"]
            finally:
                connection.close()

        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(put, range(16)))
        assert len({thread_id for _, thread_id in answers}) == 1
        assert sorted(status for status, _ in answers) == [200] * 15 + [201]
