"""`/threads/{thread_id}`."""

from typing import Any

import pytest

from tests.api.rest.conftest import PNG, THREAD_FIELDS, fault, new_thread, posted, problem, same_404, say
from tests.conftest import Api, Tenant
from threadhub.lib import ids
from threadhub.workspaces.models import User
from threads.models import Attachment, Message, Thread


def patch(api: Api, thread: dict[str, Any], body: dict[str, Any]) -> Any:
    return api.patch(f"/threads/{thread['id']}", body, content_type="application/json")


def test_it_is_read_with_its_messages_in_constant_queries(
    api: Api, thread: dict[str, Any], django_assert_num_queries: Any
) -> None:
    say(api, thread, "one", "two", "three")
    posted(api, thread, role="user", documents=[{"url": PNG}])
    # the key, the thread with its messages, their files
    with django_assert_num_queries(3):
        read = api.get(f"/threads/{thread['id']}").json()
    assert list(read) == [*THREAD_FIELDS, "messages"]
    assert [message["position"] for message in read["messages"]] == [1, 2, 3, 4]
    assert api.head(f"/threads/{thread['id']}").status_code == 200


def test_nobody_learns_of_a_thread_that_is_not_theirs(
    api: Api, mallorys: Api, other_tenant: Tenant, thread: dict[str, Any], as_user: Any, alice: User
) -> None:
    foreign = new_thread(mallorys, other_tenant)
    texts = [foreign["id"], ids.encode("thread", ids.new()), "thread_456", thread["id"].upper(), thread["id"][:-1]]
    texts += [thread["id"].replace("thread", "agent"), "%00", "a%20b", "." * 300]
    answers = [api.get(f"/threads/{text}") for text in texts]
    answers += [api.delete(f"/threads/{text}") for text in texts]
    answers += [api.patch(f"/threads/{text}", {"title": "x"}, content_type="application/json") for text in texts]
    answers.append(as_user(alice).get(f"/threads/{thread['id']}"))
    assert same_404(*answers)["detail"] == "Thread not found."


class TestChange:
    def test_it_changes_what_is_sent_and_nothing_else(self, api: Api, tenant: Tenant) -> None:
        thread = new_thread(api, tenant, title="Old", metadata={"a": 1}, external_ref="x")
        changed = patch(api, thread, {"title": "New"})
        assert changed.status_code == 200
        assert list(changed.json()) == THREAD_FIELDS
        assert (changed.json()["title"], changed.json()["metadata"]) == ("New", {"a": 1})
        assert changed.json()["updated_at"] > thread["updated_at"]
        assert changed.json()["last_activity_at"] is None
        assert patch(api, thread, {"metadata": {"b": 2}}).json()["metadata"] == {"b": 2}
        assert patch(api, thread, {"title": None}).json()["title"] is None
        assert patch(api, thread, {}).json()["metadata"] == {"b": 2}

    @pytest.mark.parametrize("change", [{"title": "New"}, {"metadata": {"b": 2}}])
    def test_it_is_no_activity(self, api: Api, tenant: Tenant, change: dict[str, Any]) -> None:
        thread = new_thread(api, tenant, title="Old", metadata={"a": 1})
        api.post(f"/threads/{thread['id']}/messages", {"role": "user", "content": "x"})
        spoken = api.get(f"/threads/{thread['id']}").json()["last_activity_at"]
        assert spoken is not None
        assert patch(api, thread, change).json()["last_activity_at"] == spoken

    @pytest.mark.parametrize(
        ("body", "loc", "words"),
        [
            ({"titel": "x"}, "titel", "Did you mean 'title'"),
            ({"external_ref": "x"}, "external_ref", "Known here: title, metadata"),
            ({"state": "archived"}, "state", "Unknown field"),
            ({"agent_id": "agent_1"}, "agent_id", "Known here"),
            ({"metadata": None}, "metadata", "null"),
            ({"metadata": "x"}, "metadata", "dictionary"),
            ({"title": 5}, "title", "valid string"),
        ],
    )
    def test_what_may_not_be_changed_is_refused(
        self, api: Api, thread: dict[str, Any], body: dict[str, Any], loc: str, words: str
    ) -> None:
        assert words in fault(patch(api, thread, {**body}), "body", loc)

    def test_an_archived_thread_is_read_only(self, api: Api, thread: dict[str, Any]) -> None:
        Thread.objects.update(state="archived")
        problem(patch(api, thread, {"title": "x"}), 409, "thread_archived")

    def test_a_viewer_may_not(self, as_user: Any, victor: User, thread: dict[str, Any]) -> None:
        problem(patch(as_user(victor), thread, {"title": "x"}), 403, "permission_missing")


class TestDelete:
    def test_nothing_of_it_is_left(
        self, api: Api, thread: dict[str, Any], django_capture_on_commit_callbacks: Any
    ) -> None:
        say(api, thread, "secret words")
        file = posted(api, thread, role="user", documents=[{"url": PNG}])["documents"][0]
        stored = Attachment.objects.get().file
        with django_capture_on_commit_callbacks(execute=True):
            response = api.delete(f"/threads/{thread['id']}")
        assert (response.status_code, response.json()) == (200, {"success": True})
        assert (Thread.objects.count(), Message.objects.count(), Attachment.objects.count()) == (0, 0, 0)
        assert not stored.storage.exists(stored.name)
        same_404(api.get(f"/threads/{thread['id']}"), api.delete(f"/threads/{thread['id']}"), api.get(file["url"]))

    def test_a_viewer_may_not(self, as_user: Any, victor: User, thread: dict[str, Any]) -> None:
        problem(as_user(victor).delete(f"/threads/{thread['id']}"), 403, "permission_missing")
        assert Thread.objects.count() == 1
