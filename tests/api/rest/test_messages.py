"""`/threads/{thread_id}/messages` and `…/{message_id}`."""

from typing import Any

import pytest

from tests.api.rest.conftest import (
    MESSAGE_FIELDS,
    PDF,
    PNG,
    TXT,
    fault,
    ids_of,
    new_thread,
    path_of,
    posted,
    problem,
    same_404,
    say,
)
from tests.conftest import Api, Tenant
from threadhub.lib import ids
from threadhub.workspaces.models import User
from threads.models import Message


def positions(response: Any) -> list[int]:
    assert response.status_code == 200, response.content
    return [message["position"] for message in response.json()["data"]]


class TestList:
    @pytest.fixture
    def path(self, api: Api, thread: dict[str, Any]) -> str:
        say(api, thread, *"abcdefg")
        return f"/threads/{thread['id']}/messages"

    def test_it_lists_by_position(self, api: Api, path: str, django_assert_num_queries: Any) -> None:
        with django_assert_num_queries(2):  # the key, the thread with its messages
            page = api.get(path).json()
        assert list(page) == ["count", "has_more", "next", "previous", "data"]
        assert (page["count"], page["has_more"], page["next"], page["previous"]) == (7, False, None, None)
        assert [message["content"] for message in page["data"]] == list("abcdefg")
        assert all(list(message) == MESSAGE_FIELDS for message in page["data"])

    @pytest.mark.parametrize(
        ("query", "expected"),
        [
            ("order=desc", [7, 6, 5, 4, 3, 2, 1]),
            ("take=2", [1, 2]),
            ("take=2&order=desc", [7, 6]),
            ("after=5", [6, 7]),
            ("after=2&take=2", [3, 4]),
            ("before=3", [1, 2]),
            ("before=6&take=2", [4, 5]),
            ("before=6&take=2&order=desc", [5, 4]),
            ("after=2&take=2&order=desc", [4, 3]),
            ("after=1&before=6", [2, 3, 4, 5]),
            ("after=1&before=6&take=2", [2, 3]),
            ("after=1&before=6&take=2&order=desc", [5, 4]),
            ("after=7", []),
            ("before=1", []),
            ("after=99999999999999999999", []),
            ("take=0", []),
        ],
    )
    def test_after_and_before_find_what_is_beside_them(
        self, api: Api, path: str, query: str, expected: list[int]
    ) -> None:
        assert positions(api.get(f"{path}?{query}")) == expected

    @pytest.mark.parametrize(
        ("query", "expected"),
        [
            ("take=3", [[1, 2, 3], [4, 5, 6], [7]]),
            ("take=3&order=desc", [[7, 6, 5], [4, 3, 2], [1]]),
            ("take=2&after=1&before=6", [[2, 3], [4, 5]]),
            ("take=2&after=1&before=6&order=desc", [[5, 4], [3, 2]]),
        ],
    )
    def test_next_leads_through(self, api: Api, path: str, query: str, expected: list[list[int]]) -> None:
        url: str | None = f"{path}?{query}"
        pages = []
        while url:
            response = api.get(url)
            pages.append(positions(response))
            url = response.json()["next"] and path_of(response.json()["next"])
        assert pages == expected

    @pytest.mark.parametrize(
        ("query", "expected"),
        [("take=3&after=6", [[4, 5, 6], [1, 2, 3]]), ("take=3&order=desc&before=2", [[4, 3, 2], [7, 6, 5]])],
    )
    def test_previous_leads_back_to_the_beginning(
        self, api: Api, path: str, query: str, expected: list[list[int]]
    ) -> None:
        page = api.get(f"{path}?{query}").json()
        pages = []
        while page["previous"]:
            response = api.get(path_of(page["previous"]))
            page = response.json()
            assert page["next"] is not None
            pages.append(positions(response))
        assert pages == expected

    def test_its_parameters_are_strict(self, api: Api, path: str) -> None:
        assert "whole number" in fault(api.get(f"{path}?after=-1"), "query", "after")
        assert "whole number" in fault(api.get(f"{path}?before=x"), "query", "before")
        assert "Did you mean 'after'" in fault(api.get(f"{path}?aftr=1"), "query", "aftr")
        assert "Known here" in fault(api.get(f"{path}?skip=1"), "query", "skip")


class TestAppend:
    def test_it_answers_201_with_the_message_and_its_address(self, api: Api, thread: dict[str, Any]) -> None:
        response = api.post(f"/threads/{thread['id']}/messages", {"role": "user", "content": "Hello"})
        assert response.status_code == 201
        message = response.json()
        assert list(message) == MESSAGE_FIELDS
        assert message == {
            **dict.fromkeys(MESSAGE_FIELDS),
            "id": message["id"],
            "thread_id": thread["id"],
            "role": "user",
            "message_type": "text",
            "content": "Hello",
            "created_at": message["created_at"],
            "updated_at": message["created_at"],
            "position": 1,
            "documents": [],
            "partial": False,
            "extra": {},
        }
        assert api.get(response["Location"]).json() == message
        assert api.get(f"/threads/{thread['id']}").json()["messages"] == [message]

    def test_the_messages_of_seed_003(self, api: Api, thread: dict[str, Any]) -> None:
        call = {"function": "check_order_status", "arguments": {"order_id": "12345"}}
        asking = posted(api, thread, role="assistant", message_type="text", content="I'll check", tool_calls=[call])
        (kept,) = asking["tool_calls"]
        assert kept == {**call, "name": "check_order_status", "id": kept["id"]}
        result = posted(api, thread, role="tool", tool_call_id=kept["id"], tool_result={"status": "sent"}, name="check")
        assert (result["tool_result"], result["tool_call_id"]) == ({"status": "sent"}, kept["id"])
        photo = posted(api, thread, role="user", message_type="image", content=None, title="Product photo")
        assert (photo["message_type"], photo["content"], photo["title"]) == ("image", None, "Product photo")
        assert [message["role"] for message in api.get(f"/threads/{thread['id']}").json()["messages"]] == [
            "assistant",
            "tool",
            "user",
        ]

    @pytest.mark.parametrize("result", [False, 0, "", [], {}, {"a": None}, "text", [1, {"b": 2}]])
    def test_a_tools_result_is_kept_as_sent(self, api: Api, thread: dict[str, Any], result: Any) -> None:
        kept = posted(api, thread, role="tool", tool_call_id="call_1", tool_result=result)
        assert kept["tool_result"] == result

    @pytest.mark.parametrize("role", ["user", "assistant", "system", "tool"])
    def test_every_role_may_be_appended(self, api: Api, thread: dict[str, Any], role: str) -> None:
        assert posted(api, thread, role=role, content="x")["role"] == role

    @pytest.mark.parametrize(
        ("documents", "sent", "kept"),
        [
            ([PNG], None, "image"),
            ([PNG, PNG], "image", "image"),
            ([PDF], None, "pdf"),
            ([PDF], "document", "pdf"),
            ([TXT], None, "document"),
            ([PDF, PNG], None, "document"),
            ([PNG], "text", "text"),
            ([], "pdf", "pdf"),
        ],
    )
    def test_the_message_type_follows_the_documents(
        self, api: Api, thread: dict[str, Any], documents: list[str], sent: str | None, kept: str
    ) -> None:
        rows = [{"url": url} for url in documents]
        message = posted(api, thread, role="user", message_type=sent, documents=rows, title="Scan")
        assert message["message_type"] == kept
        assert len(message["documents"]) == len(documents)

    def test_a_document_is_linked(self, api: Api, thread: dict[str, Any]) -> None:
        message = posted(api, thread, role="user", documents=[{"url": PDF, "filename": "../a/report.pdf"}])
        (document,) = message["documents"]
        assert document == {
            "id": document["id"],
            "filename": "report.pdf",
            "content_type": "application/pdf",
            "size": 9,
            "url": f"/threads/{thread['id']}/attachments/{document['id']}",
        }

    @pytest.mark.parametrize(
        ("body", "loc", "words"),
        [
            ({}, ("role",), "required"),
            ({"role": "robot", "content": "x"}, ("role",), "not a valid choice"),
            ({"role": "user"}, ("content",), "something in it"),
            ({"role": "user", "content": 5}, ("content",), "valid string"),
            ({"role": "user", "content": "x", "contents": "y"}, ("contents",), "Did you mean 'content'"),
            ({"role": "user", "content": "x", "position": 7}, ("position",), "Unknown"),
            ({"role": "user", "content": "x", "created_at": "2020-01-01"}, ("created_at",), "Unknown"),
            ({"role": "user", "content": "x", "message_type": "video"}, ("message_type",), "not a valid choice"),
            ({"role": "user", "content": "x", "tool_calls": [{"function": "f"}]}, ("tool_calls",), "assistant"),
            ({"role": "user", "content": "x", "tool_call_id": "c"}, ("tool_call_id",), "role tool"),
            ({"role": "assistant", "tool_calls": [{"arguments": {}}]}, ("tool_calls", 0, "function"), "names"),
            (
                {"role": "assistant", "tool_calls": [{"function": "f", "arguments": "{}"}]},
                ("tool_calls", 0, "arguments"),
                "dictionary",
            ),
            (
                {"role": "assistant", "tool_calls": [{"function": "f", "args": {}}]},
                ("tool_calls", 0, "args"),
                "Did you mean 'arguments'",
            ),
            (
                {"role": "assistant", "tool_calls": [{"function": "f", "name": "g"}]},
                ("tool_calls", 0, "name"),
                "differ",
            ),
            (
                {"role": "user", "documents": [{"url": "https://example.org/a.png"}]},
                ("documents", 0, "url"),
                "data: URL",
            ),
            ({"role": "user", "documents": [{"url": "data:text/html,x"}]}, ("documents", 0, "url"), "not accepted"),
            (
                {"role": "user", "documents": [{"url": PNG}, {"url": "data:image/png;base64,!"}]},
                ("documents", 1, "url"),
                "broken",
            ),
            ({"role": "user", "documents": [{"url": PNG, "name": "a"}]}, ("documents", 0, "name"), "'filename'"),
            ({"role": "user", "documents": [{}]}, ("documents", 0, "url"), "required"),
            (
                {"role": "user", "message_type": "image", "documents": [{"url": PDF}]},
                ("message_type",),
                "not all of type image",
            ),
        ],
    )
    def test_what_is_not_valid_is_named_and_nothing_is_stored(
        self, api: Api, thread: dict[str, Any], body: dict[str, Any], loc: tuple[Any, ...], words: str
    ) -> None:
        response = api.post(f"/threads/{thread['id']}/messages", body)
        assert response.status_code == 422, response.content
        (row,) = response.json()["errors"]
        assert row["loc"] == ["body", *loc]
        assert words in row["msg"]
        assert Message.objects.count() == 0

    def test_a_document_that_is_too_large_is_413(self, api: Api, thread: dict[str, Any], settings: Any) -> None:
        settings.ATTACHMENT_MAX_BYTES = 5
        body = {"role": "user", "documents": [{"url": PNG}]}
        problem(api.post(f"/threads/{thread['id']}/messages", body), 413, "attachment_too_large")

    def test_only_a_servers_key_may(self, as_user: Any, alice: User, tenant: Tenant) -> None:
        thread = new_thread(as_user(alice), tenant)
        path = f"/threads/{thread['id']}/messages"
        problem(as_user(alice).post(path, {"role": "assistant", "content": "x"}), 403, "permission_missing")

    def test_an_idempotency_key_appends_once(self, api: Api, thread: dict[str, Any]) -> None:
        path, body = f"/threads/{thread['id']}/messages", {"role": "user", "content": "x"}
        first, again = (api.post(path, body, HTTP_IDEMPOTENCY_KEY="k1") for _ in range(2))
        assert (again.status_code, again.json()) == (first.status_code, first.json())
        assert Message.objects.count() == 1
        other = api.post(path, {"role": "user", "content": "y"}, HTTP_IDEMPOTENCY_KEY="k1")
        problem(other, 422, "idempotency_key_reused")


class TestOne:
    def test_it_is_read_and_deleted(self, api: Api, thread: dict[str, Any]) -> None:
        first, second, third = say(api, thread, "one", "two", "three")
        path = f"/threads/{thread['id']}/messages/{second['id']}"
        assert api.get(path).json() == second
        deleted = api.delete(path)
        assert (deleted.status_code, deleted.json()) == (200, {"success": True})
        assert ids_of(api.get(f"/threads/{thread['id']}/messages")) == [first["id"], third["id"]]
        assert api.get(f"/threads/{thread['id']}").json()["messages_count"] == 2
        assert posted(api, thread, role="user", content="four")["position"] == 4
        assert api.get("/search?q=two").json()["data"] == []
        same_404(api.get(path), api.delete(path))

    def test_another_threads_message_was_never_there(
        self, api: Api, tenant: Tenant, thread: dict[str, Any], mallorys: Api, other_tenant: Tenant
    ) -> None:
        other, foreign = new_thread(api, tenant), new_thread(mallorys, other_tenant)
        texts = [say(api, other, "x")[0]["id"], say(mallorys, foreign, "x")[0]["id"], "msg_1"]
        texts.append(ids.encode("msg", ids.new()))
        answers = [
            method(f"/threads/{thread['id']}/messages/{text}") for text in texts for method in (api.get, api.delete)
        ]
        assert same_404(*answers)["detail"] == "Message not found."
        same_404(*(api.get(f"/threads/{foreign['id']}/messages/{text}") for text in texts))
        assert Message.objects.count() == 2

    def test_a_user_may_read_but_not_delete(self, as_user: Any, alice: User, api: Api, tenant: Tenant) -> None:
        thread = new_thread(as_user(alice), tenant)
        path = f"/threads/{thread['id']}/messages/{say(api, thread, 'x')[0]['id']}"
        assert as_user(alice).get(path).status_code == 200
        problem(as_user(alice).delete(path), 403, "permission_missing")
