"""Regenerating an answer, editing a question, and the branches that come of it; in both dialects' eyes."""

import asyncio
import time
from typing import Any

import pytest
from django.db import transaction
from django.utils import timezone

from tests.api.rest.conftest import fault, new_thread, open_session, posted, problem, same_404, say, streamed
from tests.clients.plai_stream import read
from tests.conftest import Api, Tenant
from threadhub.workspaces.models import User
from threads import access, branches
from threads.actions.messages import Draft
from threads.models import Branch, Message, Run, Thread
from threads.runs.start import start


def told(api: Api, path: str, **query: Any) -> list[str]:
    response = api.get(f"{path}/messages", query)
    assert response.status_code == 200, response.content
    return [message["content"] for message in response.json()["data"]]


def conversation(api: Api, path: str) -> list[dict[str, Any]]:
    """Two questions with their answers, as a server puts them in."""
    for role, content in (("user", "one"), ("assistant", "1"), ("user", "two"), ("assistant", "2")):
        response = api.post(f"{path}/messages", {"role": role, "content": content})
        assert response.status_code == 201, response.content
    messages: list[dict[str, Any]] = api.get(f"{path}/messages").json()["data"]
    return messages


@pytest.fixture
def path(thread: dict[str, Any]) -> str:
    return f"/threads/{thread['id']}"


@pytest.mark.usefixtures("worker")
class TestEdit:
    def test_it_answers_the_new_words_and_keeps_the_old_course(self, api: Api, path: str) -> None:
        messages = conversation(api, path)
        answer = api.post(f"{path}/messages/{messages[2]['id']}/edit", {"prompt": "three"})
        assert answer.status_code == 200, answer.content
        assert answer.json()["data"]["answer"] == "You said: three"
        assert told(api, path) == ["one", "1", "three", "You said: three"]
        assert told(api, path, branch=1) == ["one", "1", "two", "2"]
        assert told(api, path, branch=2) == told(api, path)
        positions = [message["position"] for message in api.get(f"{path}/messages").json()["data"]]
        assert positions == [1, 2, 5, 6]

    def test_both_dialects_show_the_active_branch(self, api: Api, path: str, thread: dict[str, Any]) -> None:
        messages = conversation(api, path)
        api.post(f"{path}/messages/{messages[2]['id']}/edit", {"prompt": "three"})
        expected = ["one", "1", "three", "You said: three"]
        whole = api.get(path).json()
        assert ([message["content"] for message in whole["messages"]], whole["messages_count"]) == (expected, 4)
        listed = api.get("/threads").json()["data"][0]
        assert [message["content"] for message in listed["messages"]] == expected
        ai = api.get(f"/api/ai/threads/{thread['id']}").json()
        assert [message["content"] for message in ai["messages"]] == expected
        assert api.get("/search", {"q": "two"}).json()["data"] == []
        assert len(api.get("/search", {"q": "three"}).json()["data"]) == 2

    def test_a_stream_is_answered_where_it_is_asked_for(self, api: Api, path: str, tenant: Tenant) -> None:
        messages = conversation(api, path)
        edit = f"{path}/messages/{messages[0]['id']}/edit"
        assert read([asyncio.run(streamed(tenant.key, edit, {"prompt": "again"}))]).text == "You said: again"
        assert told(api, path) == ["again", "You said: again"]

    def test_a_retry_with_its_key_makes_one_branch(self, api: Api, path: str) -> None:
        messages = conversation(api, path)
        key = {"Idempotency-Key": "edit-1"}
        edit = f"{path}/messages/{messages[2]['id']}/edit"
        first, second = (api.post(edit, {"prompt": "three"}, headers=key) for _ in range(2))
        assert first.json() == second.json()
        assert (Branch.objects.count(), Run.objects.count()) == (2, 1)

    def test_a_visitor_edits_in_their_own_session(self, api: Api, tenant: Tenant) -> None:
        session = open_session(api, tenant)
        visitor = Api(session["chat_token"])
        base = f"/chat_sessions/{session['id']}/threads"
        thread = visitor.post(base).json()
        asked = f"{base}/{thread['id']}"
        visitor.post(f"{asked}/invoke", {"prompt": "one"})
        question, answer = visitor.get(f"{asked}/messages").json()["data"]
        assert visitor.post(f"{asked}/messages/{question['id']}/edit", {"prompt": "two"}).status_code == 200
        assert visitor.post(f"{asked}/messages/{answer['id']}/regenerate").status_code == 200
        assert visitor.get(f"{asked}/branches").json()["count"] == 3
        assert visitor.post(f"{asked}/branches/2/activate").status_code == 200
        assert told(visitor, asked) == ["two", "You said: two"]
        copied = visitor.post(f"{asked}/copy")
        assert copied["Location"] == f"{base}/{copied.json()['id']}"
        assert told(visitor, copied["Location"]) == ["two", "You said: two"]


@pytest.mark.usefixtures("worker")
class TestRegenerate:
    def test_it_gives_another_answer_from_before_everything_of_the_run(self, api: Api, path: str) -> None:
        api.post(f"{path}/invoke", {"prompt": '/tool current_time {"zone": "Europe/Madrid"}'})
        question, calling, result, answer = api.get(f"{path}/messages").json()["data"]
        assert api.post(f"{path}/messages/{answer['id']}/regenerate", {"enabled_tools": []}).status_code == 200
        now = api.get(f"{path}/messages").json()["data"]
        assert [message["id"] for message in now[:1]] == [question["id"]]
        assert {message["id"] for message in now}.isdisjoint({calling["id"], result["id"], answer["id"]})
        assert (now[0]["branches"], now[1]["branches"]) == ([], [1, 2])
        old = api.get(f"{path}/messages", {"branch": 1}).json()["data"]
        assert [message["branches"] for message in old] == [[], [1, 2], [], []]
        branches = [run["branch"] for run in api.get(f"{path}/runs").json()["data"]]
        assert branches == [2, 1]

    def test_a_run_tells_its_own_context_after_its_branch_was_left(self, api: Api, path: str) -> None:
        api.post(f"{path}/invoke", {"prompt": "one"})
        question, answer = api.get(f"{path}/messages").json()["data"]
        run = answer["run_id"]
        before = api.get(f"{path}/runs/{run}/context").json()
        api.post(f"{path}/messages/{question['id']}/edit", {"prompt": "two"})
        assert api.get(f"{path}/runs/{run}/context").json() == before
        assert [message["content"] for message in before["messages"]] == ["one"]


class TestRefusals:
    def test_only_questions_are_edited_and_only_answers_regenerated(self, api: Api, path: str) -> None:
        question, answer, *_ = conversation(api, path)
        edited = api.post(f"{path}/messages/{answer['id']}/edit", {"prompt": "x"})
        problem(edited, 422, "not_a_question")
        problem(api.post(f"{path}/messages/{question['id']}/regenerate"), 422, "not_an_answer")
        assert not Branch.objects.exists()

    def test_bodies_are_strict(self, api: Api, path: str) -> None:
        question, answer, *_ = conversation(api, path)
        fault(api.post(f"{path}/messages/{answer['id']}/regenerate", {"prompt": "x"}), "body", "prompt")
        fault(api.post(f"{path}/messages/{question['id']}/edit", {}), "body", "prompt")
        fault(api.post(f"{path}/branches/1/activate", {"double_texting": "enqueue"}), "body", "double_texting")
        both = {"position": 1, "message_id": question["id"]}
        fault(api.post(f"{path}/copy", both), "body", "message_id")
        fault(api.post(f"{path}/copy", {"position": 0}), "body", "position")
        fault(api.get(f"{path}/messages", {"branch": "x"}), "query", "branch")

    def test_nothing_before_an_answer_is_nothing_to_ask(self, api: Api, thread: dict[str, Any], path: str) -> None:
        greeting = posted(api, thread, role="assistant", content="Welcome")
        problem(api.post(f"{path}/messages/{greeting['id']}/regenerate"), 422, "nothing_asked")
        assert Thread.objects.get().path is None

    @pytest.mark.parametrize(
        ("method", "below"),
        [
            ("post", "messages/{question}/edit"),
            ("post", "messages/{answer}/regenerate"),
            ("get", "branches"),
            ("post", "branches/1/activate"),
            ("post", "copy"),
        ],
    )
    def test_what_is_not_theirs_is_not_found(self, api: Api, mallorys: Api, path: str, method: str, below: str) -> None:
        question, answer, *_ = conversation(api, path)
        address = f"{path}/{below.format(question=question['id'], answer=answer['id'])}"
        body = ({"prompt": "x"} if below.endswith("edit") else {},) if method == "post" else ()
        nowhere = address.replace(path, "/threads/thread_00000000000000000000000000")
        same_404(getattr(mallorys, method)(address, *body), getattr(mallorys, method)(nowhere, *body))

    def test_a_viewer_reads_branches_and_makes_none(self, api: Api, path: str, victor: User, as_user: Any) -> None:
        question, answer, *_ = conversation(api, path)
        Thread.objects.update(user=victor)
        viewer = as_user(victor)
        assert viewer.get(f"{path}/branches").status_code == 200
        for below in (f"messages/{answer['id']}/regenerate", "branches/1/activate", "copy"):
            problem(viewer.post(f"{path}/{below}"), 403, "permission_missing")
        problem(viewer.post(f"{path}/messages/{question['id']}/edit", {"prompt": "x"}), 403, "permission_missing")

    @pytest.mark.parametrize("number", ["0", "3", "x", "01", "99999", "-1"])
    def test_a_branch_that_is_not_there_is_not_found(self, api: Api, path: str, number: str) -> None:
        conversation(api, path)
        problem(api.post(f"{path}/branches/{number}/activate"), 404, "branch_not_found")
        if number.isdigit() and number != "01":
            problem(api.get(f"{path}/messages", {"branch": number}), 404, "branch_not_found")

    def test_while_a_question_is_answered_the_branch_stays(self, api: Api, tenant: Tenant, path: str) -> None:
        question, answer, *_ = conversation(api, path)
        thread = Thread.objects.get()
        Run.objects.create(
            workspace=tenant.workspace, thread=thread, agent=tenant.agent, number=1, provider="echo", status="queued"
        )
        for below, body in (
            (f"messages/{question['id']}/edit", {"prompt": "x", "double_texting": "enqueue"}),
            (f"messages/{answer['id']}/regenerate", {}),
        ):
            problem(api.post(f"{path}/{below}", body), 409, "thread_running")
        assert not Branch.objects.exists()


@pytest.mark.usefixtures("worker")
class TestInterrupting:
    """With `double_texting: interrupt` what is being answered is cut short; its question stays on the branch left."""

    def slow(self, tenant: Tenant) -> Run:
        """A run that answers, and will for long."""
        run = start(
            actor=tenant.actor,
            thread=Thread.objects.get(),
            drafts=[Draft(role="user", content="/say begun\n/hang 60")],
            now=timezone.now(),
        ).run
        deadline = time.monotonic() + 60
        while not Run.objects.filter(pk=run.pk, status="running").exists():
            assert time.monotonic() < deadline
            time.sleep(0.02)
        return run

    @pytest.mark.parametrize("below", ["messages/{question}/edit", "messages/{answer}/regenerate"])
    def test_asking_again_cuts_the_answer_short(self, api: Api, tenant: Tenant, path: str, below: str) -> None:
        question, answer, *_ = conversation(api, path)
        run = self.slow(tenant)
        address = f"{path}/{below.format(question=question['id'], answer=answer['id'])}"
        body: dict[str, Any] = {"prompt": "x"} if below.endswith("edit") else {}
        problem(api.post(address, {**body, "double_texting": "reject"}), 409, "thread_running")
        given = api.post(address, {**body, "double_texting": "interrupt"})
        assert given.status_code == 200, given.content
        run.refresh_from_db()
        assert (run.status, run.branch) == ("cancelled", 1)
        assert "/say begun\n/hang 60" in told(api, path, branch=1)
        assert "/say begun\n/hang 60" not in told(api, path)

    def test_turning_to_another_branch_cuts_the_answer_short(self, api: Api, tenant: Tenant, path: str) -> None:
        question, *_ = conversation(api, path)
        api.post(f"{path}/messages/{question['id']}/edit", {"prompt": "x"})
        run = self.slow(tenant)
        address = f"{path}/branches/1/activate"
        problem(api.post(address), 409, "thread_running")
        assert api.post(address, {"double_texting": "interrupt"}).json()["active"] is True
        run.refresh_from_db()
        assert (run.status, run.branch) == ("cancelled", 2)
        assert told(api, path) == ["one", "1", "two", "2"]


class TestRetries:
    """With their key: what was made once is told again."""

    def test_of_regenerating(self, api: Api, path: str, worker: None) -> None:
        _, answer, *_ = conversation(api, path)
        address, key = f"{path}/messages/{answer['id']}/regenerate", {"Idempotency-Key": "once"}
        first, second = (api.post(address, headers=key) for _ in range(2))
        assert (first.status_code, first.json()) == (200, second.json())
        assert (Branch.objects.count(), Run.objects.count()) == (2, 1)
        problem(api.post(address, {"enabled_tools": []}, headers=key), 422, "idempotency_key_reused")

    def test_of_activating(self, api: Api, tenant: Tenant, path: str) -> None:
        conversation(api, path)
        thread = Thread.objects.get()
        with transaction.atomic():
            branches.fork(thread=access.lock(thread=thread), before=2, actor=tenant.actor, now=timezone.now())
        key = {"Idempotency-Key": "once"}
        first = api.post(f"{path}/branches/1/activate", headers=key)
        assert api.post(f"{path}/branches/2/activate").json()["active"] is True
        assert api.post(f"{path}/branches/1/activate", headers=key).json() == first.json()
        assert api.get(path).json()["branch"] == 2  # it was not done again

    def test_of_copying(self, api: Api, path: str) -> None:
        conversation(api, path)
        key = {"Idempotency-Key": "once"}
        first, second = (api.post(f"{path}/copy", headers=key) for _ in range(2))
        assert (first.status_code, first.json(), first["Location"]) == (201, second.json(), second["Location"])
        assert Thread.objects.count() == 2
        problem(api.post(f"{path}/copy", {"title": "x"}, headers=key), 422, "idempotency_key_reused")


def test_a_thread_with_as_many_branches_as_it_may_have_is_not_forked(
    api: Api, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    question, answer, *_ = conversation(api, path)
    monkeypatch.setattr(branches, "MOST", 1)
    for below, body in (
        (f"messages/{question['id']}/edit", {"prompt": "x"}),
        (f"messages/{answer['id']}/regenerate", {}),
    ):
        problem(api.post(f"{path}/{below}", body), 409, "branch_limit")
    assert (Branch.objects.count(), Run.objects.count(), Message.objects.count()) == (0, 0, 4)


class TestBranches:
    def test_a_thread_that_was_never_forked_has_one(self, api: Api, path: str, thread: dict[str, Any]) -> None:
        conversation(api, path)
        page = api.get(f"{path}/branches").json()
        (only,) = page["data"]
        assert (page["count"], page["has_more"], page["next"], page["previous"]) == (1, False, None, None)
        assert only.pop("last_message_at") == api.get(path).json()["messages"][-1]["created_at"]
        assert only == {
            "number": 1,
            "parent": None,
            "from_position": 0,
            "active": True,
            "message_count": 4,
            "created_at": thread["created_at"],
        }
        assert api.get(f"{path}/branches", {"take": 0}).json()["data"] == []
        assert api.post(f"{path}/branches/1/activate").json()["active"] is True
        assert not Branch.objects.exists()

    def test_they_are_listed_newest_first_with_what_they_hold(
        self, api: Api, path: str, worker: None, django_assert_num_queries: Any
    ) -> None:
        messages = conversation(api, path)
        api.post(f"{path}/messages/{messages[2]['id']}/edit", {"prompt": "three"})
        with django_assert_num_queries(4):  # the key, the thread with its agent, the count, the branches
            page = api.get(f"{path}/branches").json()
        assert [
            (row["number"], row["parent"], row["from_position"], row["active"], row["message_count"])
            for row in page["data"]
        ] == [(2, 1, 2, True, 4), (1, None, 0, False, 4)]
        assert page["data"][1]["last_message_at"] == messages[3]["created_at"]
        assert page["data"][0]["last_message_at"] > messages[3]["created_at"]

    def test_another_becomes_active_and_goes_on(
        self, api: Api, thread: dict[str, Any], path: str, worker: None
    ) -> None:
        messages = conversation(api, path)
        api.post(f"{path}/messages/{messages[2]['id']}/edit", {"prompt": "three"})
        active = api.post(f"{path}/branches/1/activate").json()
        assert (active["number"], active["active"], active["message_count"]) == (1, True, 4)
        say(api, thread, "more")
        assert told(api, path) == ["one", "1", "two", "2", "more"]
        assert told(api, path, branch=2) == ["one", "1", "three", "You said: three"]
        assert api.get(path).json()["branch"] == 1
        page = api.get(f"{path}/messages", {"branch": 2, "take": 3}).json()
        assert (page["count"], page["has_more"]) == (4, True)
        assert "branch=2" in page["next"]

    def test_a_deleted_message_is_gone_from_every_branch(self, api: Api, path: str, worker: None) -> None:
        messages = conversation(api, path)
        api.post(f"{path}/messages/{messages[2]['id']}/edit", {"prompt": "three"})
        assert api.get(f"{path}/messages/{messages[3]['id']}").json()["content"] == "2"
        for message in (messages[0], messages[3]):
            assert api.delete(f"{path}/messages/{message['id']}").status_code == 200
        assert told(api, path) == ["1", "three", "You said: three"]
        assert told(api, path, branch=1) == ["1", "two"]
        counts = {row["number"]: row["message_count"] for row in api.get(f"{path}/branches").json()["data"]}
        assert counts == {1: 2, 2: 3}
        assert api.get(path).json()["messages_count"] == 3

    def test_they_go_with_their_thread(self, api: Api, path: str, worker: None) -> None:
        messages = conversation(api, path)
        api.post(f"{path}/messages/{messages[0]['id']}/edit", {"prompt": "three"})
        assert api.delete(path).status_code == 200
        assert (Branch.objects.count(), Message.objects.count()) == (0, 0)

    def test_of_three_versions_each_tells_the_others(self, api: Api, tenant: Tenant, worker: None) -> None:
        thread = new_thread(api, tenant)
        path = f"/threads/{thread['id']}"
        api.post(f"{path}/invoke", {"prompt": "one"})
        for prompt in ("two", "three"):
            question = api.get(f"{path}/messages").json()["data"][0]
            api.post(f"{path}/messages/{question['id']}/edit", {"prompt": prompt})
        for branch in (1, 2, 3):
            question, answer = api.get(f"{path}/messages", {"branch": branch}).json()["data"]
            assert (question["branches"], answer["branches"]) == ([1, 2, 3], [])
        assert [message["branches"] for message in api.get(path).json()["messages"]] == [[1, 2, 3], []]
