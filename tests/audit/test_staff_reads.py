"""Staff who read what others wrote leave an event, by every way; whoever reads their own, and servers, leave none."""

from typing import Any

import pytest
from django.db import transaction
from django.utils import timezone

from tests.api.rest.conftest import open_session
from tests.conftest import Api, Tenant, access_token, make_user
from tests.trust import samples
from tests.trust.matrix import fill
from tests.trust.operations import operations
from tests.trust.world import World, build
from threadhub.api import streaming
from threadhub.audit.models import AuditEvent
from threadhub.lib import json
from threadhub.workspaces import keys
from threadhub.workspaces.models import ApiKey, User
from threadhub.workspaces.permissions import Role
from threads.lifecycle import holds
from threads.models import Hold, Message, Run, RunEvent, Summary, Thread, ToolApproval


@pytest.fixture
def admin(tenant: Tenant) -> User:
    return make_user("ada", tenant.workspace, Role.ADMIN)


@pytest.fixture
def thread(api: Api, tenant: Tenant, alice: User, as_user: Any) -> str:
    """alice's, with a message."""
    made: str = as_user(alice).post(f"/agents/{tenant.agent.wire_id}/threads", {}).json()["id"]
    assert api.post(f"/threads/{made}/messages", {"role": "user", "content": "zebra"}).status_code == 201
    return made


def reads() -> list[tuple[str, list[str]]]:
    events = AuditEvent.objects.filter(action="thread.read").order_by("created_at")
    return [(event.actor, event.ids) for event in events]


WAYS = [
    "/threads/{0}",
    "/threads/{0}/messages",
    "/threads/{0}/runs",
    "/agents/{1}/threads/{0}",
    "/threads",
    "/search?q=zebra",
    "/api/ai/threads/{0}",
]


@pytest.mark.parametrize("way", WAYS)
def test_an_admins_read_of_anothers_thread_is_kept(way: str, thread: str, tenant: Tenant, admin: User) -> None:
    answer = Api(access_token(admin)).get(way.format(thread, tenant.agent.wire_id))
    assert answer.status_code == 200, answer.content
    assert reads() == [(f"user:{admin.pk}", [thread])]


@pytest.mark.parametrize("way", WAYS)
def test_whoever_reads_their_own_and_servers_leave_none(
    way: str, thread: str, api: Api, tenant: Tenant, alice: User, as_user: Any
) -> None:
    for client in (as_user(alice), api):
        assert client.get(way.format(thread, tenant.agent.wire_id)).status_code == 200
    assert reads() == []


def test_one_event_for_each_thread_and_hour(
    thread: str, api: Api, tenant: Tenant, admin: User, alice: User, as_user: Any
) -> None:
    client = Api(access_token(admin))
    for way in WAYS:
        client.get(way.format(thread, tenant.agent.wire_id))
    assert len(reads()) == 1
    second = as_user(alice).post(f"/agents/{tenant.agent.wire_id}/threads", {}).json()["id"]
    client.get("/threads")
    assert reads()[1:] == [(f"user:{admin.pk}", [second])]
    other = make_user("otto", tenant.workspace, Role.OWNER)
    Api(access_token(other)).get(f"/threads/{thread}")
    assert reads()[2:] == [(f"user:{other.pk}", [thread])]


def test_a_key_that_acts_as_an_admin_is_staff(thread: str, tenant: Tenant, admin: User) -> None:
    key, secret = keys.create(workspace=tenant.workspace, user=admin, name="own", kind=ApiKey.Kind.PERSONAL)
    assert Api(secret).get(f"/threads/{thread}").status_code == 200
    assert reads() == [(f"key:{key.pk}", [thread])]


def test_acting_for_somebody_is_no_cover(thread: str, admin: User, alice: User) -> None:
    client = Api(access_token(admin))
    assert client.get(f"/threads/{thread}", HTTP_X_END_USER=alice.wire_id).status_code == 200
    assert reads() == [(f"user:{admin.pk}", [thread])]


def test_a_visitors_threads_are_others_too(api: Api, tenant: Tenant, admin: User) -> None:
    session = open_session(api, tenant)
    made = Api(session["chat_token"]).post(f"/chat_sessions/{session['id']}/threads").json()["id"]
    path = f"/chat_sessions/{session['id']}/threads"
    assert Api(session["chat_token"]).get(path).status_code == 200
    assert reads() == []
    assert Api(access_token(admin)).get(path).status_code == 200
    assert made in reads()[0][1]


def test_a_list_without_messages_is_no_read(thread: str, admin: User) -> None:
    client = Api(access_token(admin))
    assert client.get("/threads?include_messages=false").json()["count"] == 1
    assert client.get("/api/ai/threads").status_code == 200
    assert reads() == []


SAID = "what-was-said-qzx7"
QUERIES = {"search_list": {"q": SAID}}


@pytest.fixture
def world(db: None, monkeypatch: pytest.MonkeyPatch) -> World:
    """One of everything; SAID stands in the words of a conversation, and nowhere else."""
    monkeypatch.setattr(streaming, "close_old_connections", lambda: None)  # the test's own connection is not closed
    made = build()
    hold = Hold.objects.get(workspace=made.victim.tenant.workspace)  # nothing in a held thread can be changed
    holds.release(actor=made.victim.tenant.actor, hold=hold, now=timezone.now())
    thread = Thread.objects.get(chat_session=made.victim.session, title=None)
    words = {"words": SAID}
    Message.objects.filter(thread=thread).update(content=SAID, extra=words)
    RunEvent.objects.filter(run__thread=thread).update(data=words)
    ToolApproval.objects.filter(thread=thread).update(arguments=json.dumps(words).decode())
    for run in Run.objects.filter(thread=thread):
        run.required_action["tool_calls"][0]["arguments"] = words
        run.save()
    Summary.objects.create(
        workspace=made.victim.tenant.workspace, thread=thread, from_position=1, to_position=2, text=SAID
    )
    return made


def body_of(answer: Any) -> bytes:
    return b"".join(answer.streaming_content) if answer.streaming else answer.content


def test_whatever_shows_an_admin_what_was_said_leaves_an_event(world: World) -> None:
    """Each reading route of the served OpenAPI: a new one is here by itself."""
    victim = world.victim
    admin = make_user("ada", victim.tenant.workspace, Role.ADMIN)
    api, shown, silent = Api(access_token(admin)), set(), []
    for operation in operations():
        if operation.method == "GET":
            named = {name: victim.named[noun] for name, noun in samples.in_path(operation).items()}
            with transaction.atomic():
                answer = api.get(fill(operation.path, named), QUERIES.get(operation.name, {}))
                tells = getattr(answer, "is_async", False) or SAID.encode() in body_of(answer)
                about = [each for _, ids in reads() for each in ids]
                transaction.set_rollback(True)
            if tells:
                shown.add(operation.path)
                if victim.named["thread"] not in about:
                    silent.append(str(operation))
    assert silent == []
    assert len(shown) > 10
