"""`…/messages/{id}/feedback`."""

from typing import Any

import pytest

from tests.conftest import Api, Tenant
from threads.models import Feedback


def put(api: Api, path: str, body: Any) -> Any:
    return api.put(path, body, content_type="application/json")


@pytest.fixture
def answer(api: Api, tenant: Tenant) -> str:
    """The path of feedback on an answer in a visitor's thread."""
    thread = api.post(f"/agents/{tenant.agent.wire_id}/threads", {"external_ref": "visitor"}).json()["id"]
    api.post(f"/threads/{thread}/messages", {"role": "user", "content": "hello"})
    message = api.post(f"/threads/{thread}/messages", {"role": "assistant", "content": "hi"}).json()["id"]
    return f"/threads/{thread}/messages/{message}/feedback"


def test_an_opinion_is_given_changed_and_withdrawn(api: Api, answer: str) -> None:
    assert api.get(answer).json()["code"] == "feedback_not_found"
    given = put(api, answer, {"rating": 1, "tags": ["polite"], "text": "Well said."})
    assert given.status_code == 200
    assert given.json() == api.get(answer).json()
    assert (given.json()["rating"], given.json()["tags"], given.json()["text"]) == (1, ["polite"], "Well said.")
    changed = put(api, answer, {"rating": -1}).json()
    assert (changed["rating"], changed["tags"], changed["text"]) == (-1, [], "")
    assert changed["created_at"] == given.json()["created_at"]
    assert Feedback.objects.count() == 1
    assert api.delete(answer).status_code == 204
    assert api.delete(answer).status_code == 404


def test_a_visitor_has_an_opinion_of_their_own(api: Api, tenant: Tenant, answer: str) -> None:
    put(api, answer, {"rating": 1})
    session = api.post("/chat_sessions", {"agent_id": tenant.agent.wire_id, "external_ref": "visitor"}).json()
    visitor = Api(session["chat_token"])
    path = f"/chat_sessions/{session['id']}{answer}"
    assert visitor.get(path).status_code == 404
    assert put(visitor, path, {"rating": -1, "text": "no"}).status_code == 200
    assert api.get(answer).json()["rating"] == 1
    assert Feedback.objects.count() == 2


def test_feedback_goes_with_its_message_and_thread(api: Api, answer: str) -> None:
    put(api, answer, {"rating": 1})
    assert api.delete(answer.removesuffix("/feedback")).status_code in (200, 204)
    assert Feedback.objects.count() == 0


@pytest.mark.parametrize(
    "body",
    [{}, {"rating": 0}, {"rating": True}, {"rating": "1"}, {"rating": 1, "tags": "x"}, {"rating": 1, "stars": 5}],
)
def test_what_is_no_opinion_is_refused(api: Api, answer: str, body: dict[str, Any]) -> None:
    assert put(api, answer, body).status_code == 422
    assert Feedback.objects.count() == 0


def test_feedback_is_for_answers_only(api: Api, tenant: Tenant) -> None:
    thread = api.post(f"/agents/{tenant.agent.wire_id}/threads").json()["id"]
    question = api.post(f"/threads/{thread}/messages", {"role": "user", "content": "hello"}).json()["id"]
    told = put(api, f"/threads/{thread}/messages/{question}/feedback", {"rating": 1})
    assert (told.status_code, told.json()["code"]) == (422, "not_an_answer")


def test_a_viewer_and_a_stranger_have_no_say(
    answer: str, as_user: Any, victor: Any, other_tenant: Tenant, api: Api
) -> None:
    assert put(Api(other_tenant.key), answer, {"rating": 1}).status_code == 404
    assert put(as_user(victor), answer, {"rating": 1}).status_code in (403, 404)
    assert Feedback.objects.count() == 0
