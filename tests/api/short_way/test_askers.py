"""By the short way too everybody sees what is theirs, and is counted and watched."""

import json
import re
from functools import partial
from itertools import pairwise
from typing import Any

import pytest
from django.utils import timezone

from tests.api.short_way.asking import Answer, Asking, both
from tests.conftest import Api, Tenant
from threadhub import short_way
from threadhub.audit import watching
from threadhub.lib import ids
from threadhub.short_way import GoneWrong, Plain
from threadhub.workspaces import known_keys
from threadhub.workspaces.actor import Actor
from threads.actions import messages, threads
from threads.actions.messages import Draft
from threads.models import Thread


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


@pytest.mark.parametrize("authorization", ["Basic abc", "Bearer", "Bearer x", ""])
def test_strangers_are_refused_each_time(asking: Asking, thread: Thread, authorization: str) -> None:
    asking("GET", "/threads")
    for _ in range(2):
        answer = asking("GET", "/threads", authorization=authorization)
        assert (answer.short, answer.status) == (None, 401)
        assert answer.headers["content-type"] == "application/problem+json"


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


def test_a_browser_of_another_peer_is_another_one(asking: Asking, thread: Thread) -> None:
    """What a proxy says counts by who the proxy is."""
    asking("GET", "/threads")
    assert asking("GET", "/threads", peer="192.0.2.9").short is None


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
