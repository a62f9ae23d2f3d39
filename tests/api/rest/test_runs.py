"""`…/threads/{thread_id}/runs` and below, and the stream of an answer."""

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import connection

from tests.api.rest.conftest import fault, ids_of, new_thread, problem, same_404, streamed
from tests.clients.plai_stream import read
from tests.conftest import Api, Tenant
from threadhub.lib import ids
from threads.models import Run
from threads.runs import events

RUN_FIELDS = [
    "id",
    "thread_id",
    "agent_id",
    "user_id",
    "branch",
    "status",
    "provider",
    "model",
    "message_id",
    "finish_reason",
    "error",
    "usage",
    "enabled_tools",
    "ignored_tools",
    "refused_tools",
    "required_action",
    "continues",
    "continued_by",
    "created_at",
    "started_at",
    "finished_at",
]
NAMES = ["message_start", "content_block_start", "content_block_delta", "content_block_stop"]
ENDING = ["message_id", "usage", "message_stop"]


def stream(tenant: Tenant, path: str, body: dict[str, Any] | None = None, **headers: str) -> bytes:
    return asyncio.run(streamed(tenant.key, path, body, **headers))


def ask(api: Api, thread: dict[str, Any], prompt: str) -> str:
    """The id of the run, once it is over."""
    response = api.post(f"/threads/{thread['id']}/invoke", {"prompt": prompt})
    body = response.json()
    run_id: str = body["data"]["run_id"] if response.status_code == 200 else body["run_id"]
    return run_id


@pytest.mark.usefixtures("worker")
class TestStream:
    def test_it_is_what_the_strict_reader_wants(self, api: Api, tenant: Tenant, thread: dict[str, Any]) -> None:
        answer = read([stream(tenant, f"/threads/{thread['id']}/invoke", {"prompt": "Ünïcode 🙂\nline"})])
        assert answer.text == "You said: Ünïcode 🙂\nline"
        assert answer.names == NAMES + ENDING
        assert answer.usage == {"type": "usage", "input_tokens": 3, "output_tokens": 5, "cached_tokens": 0}
        last = api.get(f"/threads/{thread['id']}").json()["messages"][-1]
        assert (last["id"], last["content"]) == (answer.message_id, answer.text)
        assert answer.message["id"] == answer.message_id
        numbers = [int(event.id or 0) for event in answer.events]
        assert numbers == sorted(numbers)

    def test_it_shows_tools_with_their_schema(self, tenant: Tenant, thread: dict[str, Any]) -> None:
        prompt = '/say Let me see\n/tool current_time {"zone": "Asia/Tokyo"}'
        answer = read([stream(tenant, f"/threads/{thread['id']}/invoke", {"prompt": prompt})])
        assert [block.type for block in answer.blocks] == ["text", "tool_use", "text"]
        use = answer.blocks[1].start
        assert (use["name"], use["tool_type"], use["input"]) == ("current_time", "builtin", {"zone": "Asia/Tokyo"})
        assert use["input_schema"]["properties"].keys() == {"zone"}
        result = answer.tool_results[use["id"]]
        assert (result["is_error"], result["error_details"], result["metadata"]) == (False, None, {})
        assert answer.names[-3:] == ENDING
        assert answer.names.count("message_id") == 1

    @pytest.mark.parametrize(
        ("code", "kind"),
        [
            ("provider_unavailable", "llm_error"),
            ("context_length_exceeded", "context_length_exceeded"),
            ("provider_bad_response", "http_error"),
        ],
    )
    def test_a_failure_ends_it_in_order(self, tenant: Tenant, thread: dict[str, Any], code: str, kind: str) -> None:
        body = {"prompt": f"/fail {code} 2\none two three"}
        answer = read([stream(tenant, f"/threads/{thread['id']}/invoke", body)])
        assert answer.error is not None
        assert answer.error["type"] == kind
        assert answer.text == "You said: "
        assert answer.names[-2:] == ["error", "message_stop"]

    def test_events_replay_the_same_bytes_from_anywhere(self, api: Api, tenant: Tenant, thread: dict[str, Any]) -> None:
        path = f"/threads/{thread['id']}"
        live = stream(tenant, f"{path}/invoke", {"prompt": '/tool current_time\n/say "done"'})
        (run_id,) = ids_of(api.get(f"{path}/runs"))
        events = f"{path}/runs/{run_id}/events"
        assert stream(tenant, events) == live
        frames = [frame + b"\n\n" for frame in live.split(b"\n\n")[:-1]]
        for number, frame in enumerate(frames):
            seen = frame.split(b"\n")[0].removeprefix(b"id: ").decode()
            rest = b"".join(frames[number + 1 :])
            assert stream(tenant, events, **{"Last-Event-ID": seen}) == rest
            assert stream(tenant, f"{events}?after={seen}") == rest
        assert stream(tenant, f"{events}?after=0", **{"Last-Event-ID": "5"}) == live
        assert stream(tenant, f"{events}?after=999999") == b""
        assert stream(tenant, events, **{"Last-Event-ID": "nonsense"}) == live
        head = api.head(events)
        assert (head.status_code, head.content) == (200, b"")
        assert head["Content-Type"].startswith("text/event-stream")
        assert "whole number" in fault(api.get(f"{events}?after=x"), "query", "after")


@pytest.mark.usefixtures("worker")
class TestRuns:
    def test_they_are_listed_newest_first(
        self, api: Api, tenant: Tenant, thread: dict[str, Any], django_assert_num_queries: Any
    ) -> None:
        runs = [ask(api, thread, text) for text in ("one", "two", "three")]
        path = f"/threads/{thread['id']}/runs"
        # the key, the thread with its agent, the count, the runs
        with django_assert_num_queries(4):
            page = api.get(path).json()
        assert list(page) == ["count", "has_more", "next", "previous", "data"]
        assert [run["id"] for run in page["data"]] == runs[::-1]
        assert ids_of(api.get(f"{path}?order=asc&take=1&skip=1")) == [runs[1]]
        run = api.get(f"{path}/{runs[0]}").json()
        assert run == page["data"][2]
        assert list(run) == RUN_FIELDS
        assert (run["status"], run["error"], run["finish_reason"]) == ("succeeded", None, "stop")
        assert run["message_id"] == api.get(f"/threads/{thread['id']}").json()["messages"][1]["id"]
        assert run["created_at"] <= run["started_at"] <= run["finished_at"]

    def test_its_context_is_what_the_model_was_given(self, api: Api, tenant: Tenant, thread: dict[str, Any]) -> None:
        path = f"/agents/{tenant.agent.wire_id}"
        api.patch(path, {"instructions": "Be kind.", "temperature": 0.5}, content_type="application/json")
        first = ask(api, thread, "one")
        second = ask(api, thread, "/tool current_time")
        failed = ask(api, thread, "/fail provider_refused")
        ask(api, thread, "later")
        contexts = {
            run: api.get(f"/threads/{thread['id']}/runs/{run}/context").json() for run in (first, second, failed)
        }
        assert contexts[first]["messages"] == [{"role": "user", "content": "one"}]
        assert (contexts[first]["instructions"], contexts[first]["temperature"]) == ("Be kind.", 0.5)
        assert [tool["name"] for tool in contexts[first]["tools"]] == ["current_time"]
        roles = [message["role"] for message in contexts[second]["messages"]]
        assert roles == ["user", "assistant", "user", "assistant", "tool"]
        assert contexts[failed]["messages"][-1] == {"role": "user", "content": "/fail provider_refused"}

    def test_cancel_ends_it_for_every_reader(self, api: Api, tenant: Tenant, thread: dict[str, Any]) -> None:
        def waiting() -> Any:
            try:
                return Api(tenant.key).post(f"/threads/{thread['id']}/invoke", {"prompt": "/slow 0.2\n/length 100"})
            finally:
                connection.close()

        with ThreadPoolExecutor(2) as pool:
            answer = pool.submit(waiting)
            deadline = time.monotonic() + 20
            while Run.objects.filter(last_seq__gt=2).count() == 0 and time.monotonic() < deadline:
                time.sleep(0.05)
            (run_id,) = ids_of(api.get(f"/threads/{thread['id']}/runs"))
            path = f"/threads/{thread['id']}/runs/{run_id}"
            problem(api.post(f"/threads/{thread['id']}/invoke", {"prompt": "x"}), 409, "thread_running")
            reader = pool.submit(stream, tenant, f"{path}/events")
            cancelled = api.post(f"{path}/cancel")
            assert (cancelled.status_code, cancelled.json()["status"]) == (200, "cancelled")
            body = problem(answer.result(20), 409, "run_cancelled")
            assert body["run_id"] == run_id
            told = read([reader.result(20)])
        partial = api.get(f"/threads/{thread['id']}").json()["messages"][-1]
        assert partial["partial"] is True
        assert (partial["content"], partial["id"]) == (told.text, told.message_id)
        problem(api.post(f"{path}/cancel"), 409, "run_ended")
        assert "Unknown field" in fault(api.post(f"{path}/cancel", {"why": "x"}), "body", "why")
        assert api.post(f"/threads/{thread['id']}/archive").status_code == 200
        problem(api.post(f"{path}/cancel"), 409, "run_ended")


@pytest.mark.django_db
def test_a_run_that_one_does_not_see_was_never_there(
    api: Api, tenant: Tenant, thread: dict[str, Any], mallorys: Api, other_tenant: Tenant
) -> None:
    other, foreign = new_thread(api, tenant), new_thread(mallorys, other_tenant)
    runs = []
    for owner, each in ((tenant, other), (other_tenant, foreign)):
        run = Run.objects.create(
            workspace=owner.workspace, agent=owner.agent, thread_id=ids.decode("thread", each["id"]), number=1
        )
        runs.append(run.wire_id)
    texts = [*runs, ids.encode("run", ids.new()), "run_1"]
    paths = [f"/threads/{thread['id']}/runs/{text}" for text in texts]
    same_404(
        *(api.get(path) for path in paths),
        *(api.get(f"{path}/events") for path in paths),
        *(api.get(f"{path}/context") for path in paths),
        *(api.post(f"{path}/cancel") for path in paths),
    )
    same_404(api.get(f"/threads/{foreign['id']}/runs"), api.get(f"/threads/{foreign['id']}/runs/{runs[1]}/events"))


def test_every_type_of_event_is_spelled(api: Api) -> None:
    from threadhub.api.rest.events import encoder, plainly
    from threads.runs.events import StoredEvent

    run = Run()
    text = {"index": 0, "kind": "text"}
    data: dict[str, dict[str, Any]] = {
        events.MESSAGE_START: {"message_id": str(run.answer_id), "model": "m"},
        events.BLOCK_START: text,
        events.TEXT_DELTA: {"index": 0, "text": "Hi"},
        events.BLOCK_STOP: {"index": 0},
        events.MESSAGE_STORED: {"message_id": str(run.answer_id), "position": 2, "role": "assistant"},
        events.USAGE: {"input_tokens": 1, "output_tokens": 1, "cached_tokens": 0},
        events.MESSAGE_STOP: {"status": "succeeded", "finish_reason": "stop"},
    }
    encode = encoder(run)
    for text in ("Hi", "", '"\\\n\u2028é\x01', "1" * 10_000):
        delta = StoredEvent(7, events.TEXT_DELTA, {"index": 3, "text": text})
        assert encode(delta) == plainly(delta, str(run.answer_id))
    answer = read(encode(StoredEvent(seq, type, each)) for seq, (type, each) in enumerate(data.items(), start=1))
    assert answer.text == "Hi"
    other = StoredEvent(9, events.MESSAGE_STORED, {"message_id": str(ids.new()), "position": 1, "role": "tool"})
    assert encode(other) == b""
    error = StoredEvent(1, events.ERROR, {"code": "thread_deleted", "message": "It is gone."})
    gone = read([encode(error), encode(StoredEvent(2, events.MESSAGE_STOP, {"status": "failed", "finish_reason": ""}))])
    assert gone.names == ["message_start", "error", "message_stop"]
