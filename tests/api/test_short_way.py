"""Requests that take the short way are answered as by the whole one, and nothing is left out of what they count."""

import asyncio
import gc
import json
import logging
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from io import BytesIO
from itertools import pairwise
from typing import Any
from urllib.parse import quote, unquote
from weakref import ref

import pytest
import structlog
from django.db import OperationalError
from django.urls import get_resolver
from django.utils import timezone

from tests.api.test_stacks import _views
from tests.conftest import Api, Tenant
from threadhub import handler as handlers
from threadhub import request_log, short_way
from threadhub.api.rest.views.threads import Threads
from threadhub.audit import watching
from threadhub.audit.models import AuditEvent
from threadhub.lib import ids, notices, remembered
from threadhub.limits import rates
from threadhub.short_way import GoneWrong, Plain
from threadhub.workspaces import known_keys
from threadhub.workspaces.actor import Actor
from threads.actions import at_once, messages, threads
from threads.actions.messages import Draft
from threads.lifecycle import acts
from threads.models import Message, Thread

# What is another one with each answer: how many requests are left, and what was made just now.
MADE = re.compile(
    rb"(?<=[_\"])[0-9a-hjkmnp-tv-z]{26}|\d{4}-\d\d-\d\dT[\d:.]+Z|\"position\":\d+|[0-9a-f]{8}-[0-9a-f-]{27}"
)


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes
    short: Any  # what the short way came to: Plain, GoneWrong or None

    def comparable(self) -> tuple[int, dict[str, str], bytes]:
        headers = {name: value for name, value in self.headers.items() if name not in ("ratelimit", "location", "etag")}
        headers |= {name: "" for name in ("location", "etag") if name in self.headers}
        return self.status, headers, MADE.sub(b"", self.body)


class Asking:
    """A client of the handler that a web process has, without the process."""

    def __init__(self, tenant: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
        self.key = tenant.key
        self.handler = handlers.Handler()
        self.ways: list[Any] = []
        whole = short_way.answer

        def noted(*arguments: Any) -> Any:
            self.ways.append(whole(*arguments))
            return self.ways[-1]

        monkeypatch.setattr(short_way, "answer", noted)
        monkeypatch.setattr(handlers, "close_old_connections", lambda: None)  # it is the test's

    def __call__(self, method: str, target: str, body: Any = None, peer: str = "127.0.0.1", **headers: str) -> Answer:
        path, _, query = target.partition("?")
        sent = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        told = {"host": "testserver", "authorization": f"Bearer {self.key}"}
        told |= {"content-type": "application/json", "content-length": str(len(sent))} if sent else {}
        told |= {name.replace("_", "-"): value for name, value in headers.items()}
        scope = {
            "type": "http",
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "root_path": "",
            "path": unquote(path),
            "query_string": query.encode(),
            "client": (peer, 4711),
            "server": ("127.0.0.1", 80),
            "headers": [(name.lower().encode(), value.encode()) for name, value in told.items() if value],
        }
        self.ways.clear()
        called = handlers._in_own_context(self.handler._respond, scope, BytesIO(sent), handlers.resolved(scope["path"]))
        answer: Any = called()
        way = self.ways[-1] if self.ways else None
        if isinstance(answer, Plain):
            return Answer(
                answer.status, {name.decode(): value.decode() for name, value in answer.headers}, answer.body, way
            )
        told = {name.lower(): value for name, value in answer.headers.items()}
        return Answer(answer.status_code, told, answer.content, way)


@pytest.fixture
def asking(tenant: Tenant, monkeypatch: pytest.MonkeyPatch) -> Iterator[Asking]:
    """In a process that hears of changed keys."""
    known_keys.forget()
    remembered.forget()
    rates.forget()
    monkeypatch.setattr(known_keys, "_heard_until", float("inf"))
    monkeypatch.setattr(known_keys, "KNOWN_SECONDS", float("inf"))  # however slow the machine is
    monkeypatch.setattr(rates, "LEASE_SECONDS", 3600.0)
    yield Asking(tenant, monkeypatch)
    known_keys.forget()
    remembered.forget()
    rates.forget()


@pytest.fixture
def thread(tenant: Tenant) -> Thread:
    made = threads.create(
        actor=tenant.actor, agent_id=tenant.agent.id, now=timezone.now(), title="A title", metadata={"plan": "gold"}
    )
    for number in range(3):
        messages.append(actor=tenant.actor, thread=made, drafts=[Draft(role="user", content=f"number {number}")])
    for number in range(3):
        threads.create(actor=tenant.actor, agent_id=tenant.agent.id, now=timezone.now(), title=f"Another {number}")
    return Thread.objects.get(pk=made.pk)


def both(asking: Asking, learned_from: Callable[[], Answer], ask: Callable[[], Answer]) -> tuple[Answer, Answer]:
    """The answer by the whole way, and that by the short one, once a like request was answered."""
    remembered.forget()
    known_keys.forget()
    whole = ask()
    assert whole.short is None
    remembered.forget()
    learned_from()
    short = ask()
    return whole, short


LISTS = (
    "",
    "take=2",
    "take=2&skip=1",
    "take=2&skip=1&order=asc",
    "take=0",
    "skip=100",
    "state=active",
    "metadata=" + quote('{"plan":"gold"}'),
    "metadata=" + quote('{"plan":"none"}'),
    "title=another",
    "title=%C3%A4",
    "externalRef=x",
    "userId=nobody",
    "date_from=2024-01-01&date_to=2099-01-01",
    "agentId=agent_01h455vb4pex5vsknk084sn02q",
)
FAULTS = (
    "take=x",
    "order=up",
    "skip=99999",
    "unknown=1",
    "take=1&take=2",
    "metadata=1",
    "cursor=nonsense",
    "title=%20",
    "title=a%00b",
)


@pytest.mark.parametrize("query", [*LISTS, "include_messages=false", "include_messages=false&take=1"])
def test_a_list_is_the_same(asking: Asking, thread: Thread, query: str) -> None:
    whole, short = both(asking, lambda: asking("GET", "/threads"), lambda: asking("GET", f"/threads?{query}"))
    assert isinstance(short.short, Plain)
    assert short.comparable() == whole.comparable()
    assert (short.status, short.headers["etag"]) == (200, whole.headers["etag"])


@pytest.mark.parametrize("query", LISTS)
def test_an_agents_list_is_the_same(asking: Asking, thread: Thread, tenant: Tenant, query: str) -> None:
    path = f"/agents/{tenant.agent.wire_id}/threads"
    whole, short = both(asking, lambda: asking("GET", path), lambda: asking("GET", f"{path}?{query}"))
    assert isinstance(short.short, Plain)
    assert short.comparable() == whole.comparable()
    assert short.headers["etag"] == whole.headers["etag"]


@pytest.mark.parametrize("query", [*FAULTS, "include_messages=maybe"])
def test_what_is_wrong_with_a_list_is_said_the_same(asking: Asking, thread: Thread, query: str) -> None:
    whole, short = both(asking, lambda: asking("GET", "/threads"), lambda: asking("GET", f"/threads?{query}"))
    assert isinstance(short.short, GoneWrong)
    assert short.status == 422
    assert short.comparable() == whole.comparable()


def test_every_page_is_found_by_its_links(asking: Asking, thread: Thread) -> None:
    asking("GET", "/threads")
    seen, target = [], "/threads?take=1&include_messages=false"
    while target:
        answer = asking("GET", target.removeprefix("http://testserver"))
        assert isinstance(answer.short, Plain)
        page = json.loads(answer.body)
        seen += [each["id"] for each in page["data"]]
        target = page["next"]
    assert len(seen) == len(set(seen)) == 4


def test_a_thread_and_its_messages_are_the_same(asking: Asking, thread: Thread, tenant: Tenant) -> None:
    (first, *_) = Message.objects.filter(thread=thread).order_by("position")
    path = f"/threads/{thread.wire_id}"
    under_agent = f"/agents/{tenant.agent.wire_id}{path}"
    for target in (
        *(path, under_agent, f"{path}/messages", f"{path}/messages?take=1&after=1", f"{path}/messages?order=desc"),
        *(f"{path}/messages?role=user", f"{path}/messages/{first.wire_id}"),
    ):
        plain = target.partition("?")[0]
        whole, short = both(
            asking, lambda plain=plain: asking("GET", plain), lambda target=target: asking("GET", target)
        )
        assert isinstance(short.short, Plain), target
        assert short.comparable() == whole.comparable(), target
        assert short.headers["etag"] == whole.headers["etag"], target


def test_of_another_thread_too(asking: Asking, thread: Thread) -> None:
    """What is learned from one thread's request holds for another's."""
    other = Thread.objects.exclude(pk=thread.pk).first()
    assert other is not None
    whole, short = both(
        asking,
        lambda: asking("GET", f"/threads/{thread.wire_id}"),
        lambda: asking("GET", f"/threads/{other.wire_id}"),
    )
    assert isinstance(short.short, Plain)
    assert short.comparable() == whole.comparable()


@pytest.mark.parametrize(
    "name", ["thread_01h455vb4pex5vsknk084sn02q", "nonsense", "thread_", "%C3%A4", "thread_01H455VB4PEX5VSKNK084SN02Q"]
)
def test_what_is_not_there_is_not_found_the_same(asking: Asking, thread: Thread, name: str) -> None:
    for below in ("", "/messages"):
        whole, short = both(
            asking,
            lambda below=below: asking("GET", f"/threads/{thread.wire_id}{below}"),
            lambda below=below: asking("GET", f"/threads/{name}{below}"),
        )
        assert isinstance(short.short, GoneWrong)
        assert short.status == 404
        assert short.comparable() == whole.comparable()


def test_another_workspaces_thread_is_not_found(asking: Asking, thread: Thread, other_tenant: Tenant) -> None:
    theirs = threads.create(actor=other_tenant.actor, agent_id=other_tenant.agent.id, now=timezone.now())
    asking("GET", f"/threads/{thread.wire_id}")
    answer = asking("GET", f"/threads/{theirs.wire_id}")
    assert isinstance(answer.short, GoneWrong)
    assert answer.status == 404
    asking("GET", "/threads")
    assert theirs.wire_id.encode() not in asking("GET", "/threads").body


def test_each_key_sees_its_own(asking: Asking, thread: Thread, other_tenant: Tenant) -> None:
    """Two workspaces by turns, in one process."""
    theirs = threads.create(actor=other_tenant.actor, agent_id=other_tenant.agent.id, now=timezone.now())
    ours = asking.key
    for key, mine, foreign in [(ours, thread, theirs), (other_tenant.key, theirs, thread)] * 3:
        asking.key = key
        answer = asking("GET", "/threads")
        assert mine.wire_id.encode() in answer.body
        assert foreign.wire_id.encode() not in answer.body
    assert isinstance(answer.short, Plain)


def test_an_archived_thread_is_the_same(asking: Asking, thread: Thread, tenant: Tenant) -> None:
    acts.archive(actor=tenant.actor, thread=thread, now=timezone.now())
    other = Thread.objects.exclude(pk=thread.pk).first()
    assert other is not None
    for below in ("", "/messages"):
        whole, short = both(
            asking,
            lambda below=below: asking("GET", f"/threads/{other.wire_id}{below}"),
            lambda below=below: asking("GET", f"/threads/{thread.wire_id}{below}"),
        )
        assert isinstance(short.short, Plain)
        assert short.comparable() == whole.comparable()


@pytest.mark.parametrize("below", ["", "/messages"])
def test_who_has_it_is_told_so_the_same(asking: Asking, thread: Thread, below: str) -> None:
    path = f"/threads/{thread.wire_id}{below}"
    tag = asking("GET", path).headers["etag"]
    whole, short = both(asking, lambda: asking("GET", path), lambda: asking("GET", path, if_none_match=tag))
    assert isinstance(short.short, Plain)
    assert (short.status, short.body) == (304, b"")
    assert short.comparable() == whole.comparable()
    assert short.headers["etag"] == tag
    for other in ('"another"', "*", "nonsense"):
        whole, short = both(
            asking, lambda: asking("GET", path), lambda other=other: asking("GET", path, if_none_match=other)
        )
        assert short.comparable() == whole.comparable(), other


def test_a_condition_of_a_write_is_no_matter(asking: Asking, tenant: Tenant) -> None:
    path, before = f"/agents/{tenant.agent.wire_id}/threads", Thread.objects.count()
    for known in ("*", '"a"'):
        whole, short = both(
            asking,
            lambda: asking("POST", path, {"title": "x"}),
            lambda known=known: asking("POST", path, {"title": "x"}, if_none_match=known),
        )
        assert isinstance(short.short, Plain)
        assert short.status == 200
        assert short.comparable() == whole.comparable()
    assert Thread.objects.count() == before + 6


def test_any_of_several_tags_may_be_known(asking: Asking, thread: Thread) -> None:
    path = f"/threads/{thread.wire_id}"
    tag = asking("GET", path).headers["etag"]
    answer = asking("GET", path, if_none_match='"a"', If_None_Match=tag)
    assert isinstance(answer.short, Plain)
    assert answer.status == 304


def test_head_has_no_body(asking: Asking, thread: Thread) -> None:
    for _ in range(2):
        answer = asking("HEAD", "/threads")
        assert (answer.short, answer.status) == (None, 200)


@pytest.mark.parametrize("authorization", ["Basic abc", "Bearer", "Bearer x", ""])
def test_strangers_are_refused_each_time(asking: Asking, thread: Thread, authorization: str) -> None:
    asking("GET", "/threads")
    for _ in range(2):
        answer = asking("GET", "/threads", authorization=authorization)
        assert (answer.short, answer.status) == (None, 401)
        assert answer.headers["content-type"] == "application/problem+json"


def test_a_database_that_is_away_is_said_so(
    asking: Asking, thread: Thread, monkeypatch: pytest.MonkeyPatch, django_assert_num_queries: Any
) -> None:
    """At once: who asks is not looked up again."""
    asking("GET", "/threads")
    whole = Threads.list

    def away(view: Any, request: Any) -> None:
        known_keys.forget()
        raise OperationalError("away")

    monkeypatch.setattr(Threads, "list", away)
    with django_assert_num_queries(0):
        answer = asking("GET", "/threads")
    assert isinstance(answer.short, GoneWrong)
    assert (answer.status, answer.headers["retry-after"]) == (503, "2")
    monkeypatch.setattr(Threads, "list", whole)
    assert asking("GET", "/threads").status == 200


def test_an_error_has_the_remarks_and_the_id_of_its_request(
    asking: Asking, thread: Thread, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []

    def remarking(view: Any, request: Any) -> None:
        notices.add("mind this")
        seen.append(structlog.contextvars.get_contextvars()["request_id"])
        raise LookupError

    asking("GET", "/threads")
    monkeypatch.setattr(Threads, "list", remarking)
    answer = asking("GET", "/threads")
    assert isinstance(answer.short, GoneWrong)
    assert answer.headers["threadhub-warning"] == "mind this"
    assert [json.loads(answer.body)["request_id"]] == seen


NEW_THREADS = (
    {"title": "new", "metadata": {"a": 1}},
    {"title": "new", "external_ref": "order-1"},
    {"title": "x" * 1000},
    {"unknown": 1},
    {"metadata": []},
    b"{",
    b"[]",
    b'{"title": "\\u0000"}',
)
NEW_MESSAGES = (
    {"role": "user", "content": "hello"},
    {"role": "assistant", "content": "hello", "title": "t", "name": "n"},
    {"role": "nobody", "content": "hello"},
    {"role": "user"},
    {"content": 1, "role": "user"},
    b"{",
    b" ",
)


@pytest.mark.parametrize("body", NEW_THREADS, ids=str)
def test_a_new_thread_is_answered_the_same(asking: Asking, tenant: Tenant, body: Any) -> None:
    path = f"/agents/{tenant.agent.wire_id}/threads"
    whole, short = both(asking, lambda: asking("POST", path, {"title": "x"}), lambda: asking("POST", path, body))
    assert short.short is not None
    assert short.comparable() == whole.comparable()


@pytest.mark.parametrize("body", NEW_MESSAGES, ids=str)
def test_a_new_message_is_answered_the_same(asking: Asking, thread: Thread, body: Any) -> None:
    path = f"/threads/{thread.wire_id}/messages"
    plain = {"role": "user", "content": "x"}
    whole, short = both(asking, lambda: asking("POST", path, plain), lambda: asking("POST", path, body))
    assert short.short is not None
    assert short.comparable() == whole.comparable()


def test_a_message_to_an_archived_thread_is_refused_the_same(asking: Asking, thread: Thread, tenant: Tenant) -> None:
    other = Thread.objects.exclude(pk=thread.pk).first()
    assert other is not None
    acts.archive(actor=tenant.actor, thread=other, now=timezone.now())
    plain = {"role": "user", "content": "x"}
    whole, short = both(
        asking,
        lambda: asking("POST", f"/threads/{thread.wire_id}/messages", plain),
        lambda: asking("POST", f"/threads/{other.wire_id}/messages", plain),
    )
    assert isinstance(short.short, GoneWrong)
    assert short.status == 409
    assert short.comparable() == whole.comparable()


@pytest.mark.parametrize("headers", [{"x_end_user": "zoe"}, {"x_impersonate_user": "zoe"}], ids=str)
def test_on_behalf_of_an_end_user_it_is_theirs_alone(
    asking: Asking, thread: Thread, tenant: Tenant, headers: Any
) -> None:
    path = f"/agents/{tenant.agent.wire_id}/threads"
    asking("POST", path, {"title": "first"}, **headers)
    made = asking("POST", path, {"title": "second"}, **headers)
    assert isinstance(made.short, Plain)
    whole, short = both(
        asking, lambda: asking("GET", "/threads", **headers), lambda: asking("GET", "/threads", **headers)
    )
    assert isinstance(short.short, Plain)
    assert short.comparable() == whole.comparable()
    assert {each["title"] for each in json.loads(short.body)["data"]} == {"first", "second"}
    assert json.loads(asking("GET", "/threads").body)["count"] == 6


def test_each_end_user_gets_theirs(asking: Asking, thread: Thread, tenant: Tenant) -> None:
    """For whom a server asks is looked at each time."""
    path = f"/agents/{tenant.agent.wire_id}/threads"
    for name in ("zoe", "yan", "zoe", "yan"):
        asking("POST", path, {"title": f"of {name}"}, x_end_user=name)
    for name in ("zoe", "yan", "zoe"):
        answer = asking("GET", "/threads", x_end_user=name)
        assert {each["title"] for each in json.loads(answer.body)["data"]} == {f"of {name}"}
    assert isinstance(answer.short, Plain)
    assert json.loads(asking("GET", "/threads", x_end_user="nobody").body)["count"] == 0
    assert json.loads(asking("GET", "/threads").body)["count"] == 8


@pytest.mark.parametrize("name", ["x" * 256, "user_01h455vb4pex5vsknk084sn02q"])
def test_an_end_user_that_cannot_be_is_refused_the_same(asking: Asking, thread: Thread, name: str) -> None:
    """Before it is known for whom the server asks."""
    whole, short = both(asking, lambda: asking("GET", "/threads"), lambda: asking("GET", "/threads", x_end_user=name))
    assert isinstance(short.short, GoneWrong)
    assert (short.short.actor, short.status) == (None, 422)
    assert short.comparable() == whole.comparable()


def test_under_a_chat_session_it_is_the_same(asking: Asking, tenant: Tenant) -> None:
    """Where a server asks for a visitor."""
    agent = {"agent_id": tenant.agent.wire_id, "external_ref": "visitor"}
    session = Api(tenant.key).post("/chat_sessions", agent).json()
    path = f"/chat_sessions/{session['id']}/threads"
    thread = Api(tenant.key).post(path, {}).json()
    actor, pk = tenant.actor, ids.decode(Thread.PREFIX, thread["id"])
    (message,) = messages.append(
        actor=actor, thread=Thread.objects.get(pk=pk), drafts=[Draft(role="user", content="hello")]
    )
    for below in ("messages", f"messages/{message.wire_id}"):
        target = f"{path}/{thread['id']}/{below}"
        ask = partial(asking, "GET", target)
        whole, short = both(asking, ask, ask)
        assert whole.status == 200
        assert isinstance(short.short, Plain)
        assert short.comparable() == whole.comparable()
    other = f"{path}/thread_01h455vb4pex5vsknk084sn02q/messages"
    whole, short = both(asking, lambda: asking("GET", target), lambda: asking("GET", other))
    assert (whole.status, short.comparable()) == (404, whole.comparable())


def test_somebody_elses_workspace_is_refused(asking: Asking, thread: Thread) -> None:
    foreign = {"x_impersonate_workspace": "ws_01h455vb4pex5vsknk084sn02q"}
    assert asking("GET", "/threads", **foreign).status == 403
    assert asking("GET", "/threads", **foreign).status == 403


def test_a_revoked_key_opens_nothing(asking: Asking, thread: Thread, tenant: Tenant) -> None:
    asking("GET", "/threads")
    assert isinstance(asking("GET", "/threads").short, Plain)
    tenant.workspace.api_keys.update(revoked_at=timezone.now())
    known_keys.forget()  # as PostgreSQL tells
    answer = asking("GET", "/threads")
    assert (answer.short, answer.status) == (None, 401)


def test_a_key_of_a_header_of_its_own(asking: Asking, thread: Thread) -> None:
    asked = {"authorization": "", "x_api_key": asking.key}
    asking("GET", "/threads", **asked)
    assert isinstance(asking("GET", "/threads", **asked).short, Plain)
    assert asking("GET", "/threads", **(asked | {"x_api_key": f"{asking.key}x"})).status == 401


def test_no_secret_stays_in_memory(asking: Asking, thread: Thread) -> None:
    asking("GET", "/threads", proxy_authorization=asking.key, x_forwarded_access_token=asking.key)
    kept = [repr(pair) for pair in short_way._forms._kept.items()]
    assert kept
    assert not [each for each in kept if asking.key in each]


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://example.org"},
        {"cookie": "a=b"},
        {"if_modified_since": "Fri, 27 Nov 2026 00:00:00 GMT"},
        {"x": "y" * 70_000},
    ],
    ids=lambda headers: next(iter(headers)),
)
def test_what_is_uncommon_takes_the_whole_way(asking: Asking, thread: Thread, headers: dict[str, str]) -> None:
    first = asking("GET", "/threads", **headers)
    second = asking("GET", "/threads", **headers)
    assert second.short is None
    assert second.comparable() == first.comparable()


def test_a_longer_address_is_refused(asking: Asking, thread: Thread) -> None:
    asking("GET", "/threads")
    assert asking("GET", f"/threads?title={'x' * 40_000}").status == 414


def test_an_idempotent_request_has_one_effect(asking: Asking, tenant: Tenant) -> None:
    path = f"/agents/{tenant.agent.wire_id}/threads"
    asking("POST", path, {"title": "a"})
    first = asking("POST", path, {"title": "a"}, idempotency_key="one")
    again = asking("POST", path, {"title": "a"}, idempotency_key="one")
    assert (first.short, again.short) == (None, None)
    assert json.loads(first.body)["id"] == json.loads(again.body)["id"]


def test_a_browser_of_another_peer_is_another_one(asking: Asking, thread: Thread) -> None:
    """What a proxy says counts by who the proxy is."""
    asking("GET", "/threads")
    assert asking("GET", "/threads", peer="192.0.2.9").short is None


def test_where_requests_are_logged_they_take_the_whole_way(
    asking: Asking, thread: Thread, caplog: pytest.LogCaptureFixture
) -> None:
    asking("GET", "/threads")
    caplog.set_level(logging.INFO, logger=request_log.logger.name)
    assert asking("GET", "/threads").short is None


def test_every_request_counts_once(asking: Asking, thread: Thread, settings: Any) -> None:
    settings.RATE_LIMIT_KEY = 1000

    def left(answer: Answer) -> int:
        found = re.search(r"r=(\d+)", answer.headers["ratelimit"])
        assert found is not None
        return int(found[1])

    path = f"/threads/{thread.wire_id}"
    targets = [
        path,
        path,
        path,
        "/threads/nonsense",
        path,
        "/threads?take=x",
        "/threads",
        "/threads",
        "/threads?take=x",
    ]
    counts = [left(asking("GET", target)) for target in targets]
    assert [before - after for before, after in pairwise(counts)] == [1] * (len(counts) - 1)


def test_who_asks_too_often_is_told_so(asking: Asking, thread: Thread, settings: Any) -> None:
    settings.RATE_LIMIT_KEY = 5
    asked = [asking("GET", "/threads") for _ in range(7)]
    assert [each.status for each in asked] == [200] * 5 + [429] * 2
    assert isinstance(asked[4].short, Plain)
    assert isinstance(asked[5].short, GoneWrong)
    assert asked[5].headers["retry-after"]
    assert asked[5].comparable() == asked[6].comparable()


def test_what_is_read_and_what_is_missing_is_watched(asking: Asking, thread: Thread) -> None:
    watching.forget()
    for target in ("/threads", "/threads", f"/threads/{thread.wire_id}", "/threads/nonsense", "/threads/nonsense"):
        asking("GET", target)
    (tally,) = watching._tallies.values()
    assert (tally.reads, len(tally.missing)) == (3, 1)
    ((_, _, address),) = watching._new_addresses
    assert address == "127.0.0.1"
    watching.forget()


def test_the_audit_trail_says_from_where(asking: Asking, thread: Thread) -> None:
    path = f"/threads/{thread.wire_id}/messages"
    for _ in range(3):
        made = asking("POST", path, {"role": "user", "content": "x"}, user_agent="curl/8")
    assert isinstance(made.short, Plain)
    *_, whole, one, another = AuditEvent.objects.filter(action="message.append").order_by("id")
    assert {(each.address, each.user_agent, each.face) for each in (whole, one, another)} == {
        ("127.0.0.1", "curl/8", "rest")
    }
    assert len({whole.request_id, one.request_id, another.request_id}) == 3
    assert all(each.request_id for each in (one, another))


def test_what_fails_after_its_effect_is_not_done_again(
    asking: Asking, thread: Thread, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = f"/threads/{thread.wire_id}/messages"
    asking("POST", path, {"role": "user", "content": "x"})
    before = Message.objects.count()
    append = at_once.append

    def failing(**arguments: Any) -> None:
        append(**arguments)
        raise RuntimeError("after the commit")

    monkeypatch.setattr(at_once, "append", failing)
    answer = asking("POST", path, {"role": "user", "content": "x"})
    assert isinstance(answer.short, GoneWrong)
    assert answer.status == 500
    assert json.loads(answer.body)["code"] == "internal_error"
    assert Message.objects.count() == before + 1


def test_a_remark_is_sent_along(asking: Asking, thread: Thread, monkeypatch: pytest.MonkeyPatch) -> None:
    listed = Threads.list

    def remarking(view: Any, request: Any) -> Any:
        notices.add("mind this")
        return listed(view, request)

    monkeypatch.setattr(Threads, "list", remarking)
    whole, short = both(asking, lambda: asking("GET", "/threads"), lambda: asking("GET", "/threads"))
    assert isinstance(short.short, Plain)
    assert short.headers["threadhub-warning"] == "mind this"
    assert short.comparable() == whole.comparable()


def test_a_key_that_may_less_is_refused(asking: Asking, thread: Thread, monkeypatch: pytest.MonkeyPatch) -> None:
    """What it may is looked at each time."""
    asking("GET", "/threads")
    known = known_keys.known

    def weaker(*arguments: Any, **named: Any) -> Any:
        actor = known(*arguments, **named)
        return actor and Actor(
            kind="key", workspace_id=actor.workspace_id, permissions=frozenset(), key_id=actor.key_id
        )

    monkeypatch.setattr(known_keys, "known", weaker)
    assert asking("GET", "/threads").status == 403


def test_what_cannot_be_learned_from_is_answered(
    asking: Asking, tenant: Tenant, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(short_way, "learn", None)  # which cannot be called
    assert asking("POST", f"/agents/{tenant.agent.wire_id}/threads", {}).status == 200
    assert "nothing was learned" in caplog.text


def test_an_error_holds_no_request(asking: Asking, thread: Thread, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its body may be large, and garbage is seldom looked for."""
    held: list[Any] = []

    class Noted(short_way.Asked):
        def __init__(self, *arguments: Any) -> None:
            super().__init__(*arguments)
            held.append(ref(self))

    monkeypatch.setattr(short_way, "Asked", Noted)
    path = f"/threads/{thread.wire_id}/messages"
    asking("POST", path, {"role": "user", "content": "x"})
    gc.disable()
    try:
        answer = asking("POST", path, {"role": "nobody", "content": "x"})
        assert isinstance(answer.short, GoneWrong)
        assert answer.short.error is None
        asking("POST", path, {"role": "user", "content": "x"})
        assert [each() for each in held] == [None, None]
    finally:
        gc.enable()


def test_it_leads_to_handlers_that_are_there() -> None:
    leads = [view for _, view in _views(get_resolver()) if getattr(getattr(view, "cls", None), "short_way", None)]
    assert leads
    assert not [view for view in leads if asyncio.iscoroutinefunction(view)]
    reached = {(view.cls, action) for view in leads for action in view.actions.values() if action in view.cls.short_way}
    assert reached == {(view.cls, action) for view in leads for action in view.cls.short_way}
