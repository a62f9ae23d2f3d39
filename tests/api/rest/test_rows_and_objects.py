"""What hot requests answer by prepared statements is what the querysets, the serializers and the actions beside them
say: each is asked both ways."""

import itertools
import json
import random
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import pytest
from django.utils import timezone
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.conftest import Api, Tenant, access_token
from threadhub.agents import configure
from threadhub.agents.models import Agent
from threadhub.api.rest import filters
from threadhub.api.rest.inputs import plain_bodies
from threadhub.api.rest.inputs.messages import NewMessage
from threadhub.api.rest.inputs.threads import NewThread
from threadhub.audit.models import AuditEvent
from threadhub.lib import ids
from threadhub.workspaces import keys
from threadhub.workspaces.models import ApiKey, User
from threadhub.workspaces.permissions import Scope
from threads import branches, thread_rows, whole_rows
from threads.actions import at_once
from threads.actions import messages as appending
from threads.actions import threads as actions
from threads.actions.messages import Draft
from threads.attachments import Upload
from threads.lifecycle import acts, holds, policies
from threads.models import Message, Thread

SERVER = (Scope.READ, Scope.WRITE, Scope.INVOKE)
LISTS = ("/threads", "/agents/{agent}/threads")
NARROWINGS = (
    "",
    "state=active",
    "state=archived",
    "agentId={agent}",
    "agentId={closed}",
    "userId={alice}",
    "userId=nobody",
    "externalRef=customer-1",
    "externalRef=",
    'metadata={{"plan":"gold"}}',
    'metadata={{"plan":"gold"}}&state=active&agentId={agent}',
    'metadata={{"n":1.5e300}}',
    "metadata={{}}",
    "title=number",
    "date_from=2020-01-01&state=active",
    "agentId=nonsense",
    "state=sideways",
    "metadata=[]",
    "userId={alice}&externalRef=customer-2&state=active",
)
PAGES = ("take=5", "take=3&skip=2", "take=4&order=asc", "take=3&skip=9&order=asc", "take=100", "take=0", "skip=999", "")


@contextmanager
def by_objects(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Nothing is asked by rows for a while."""
    with monkeypatch.context() as patch:
        patch.setattr(filters, "wanted", lambda *args, **more: None)
        patch.setattr(whole_rows, "read", lambda **asked: None)
        patch.setattr(at_once, "append", lambda **asked: None)
        patch.setattr(at_once, "create", lambda **asked: None)
        yield


@pytest.fixture
def closed(tenant: Tenant) -> Agent:
    return configure.create(actor=tenant.actor, name="Closed", provider="echo", allowed_roles=["admin"])


@pytest.fixture
def askers(tenant: Tenant, alice: User, closed: Agent) -> dict[str, Api]:
    """One of each kind that sees threads by another rule."""
    made = {}
    for name, options in {
        "server": {},
        "server that may not lift limits": {"scopes": SERVER},
        "server of one agent": {"agent_id": tenant.agent.pk, "scopes": SERVER},
        "person's key": {"user": alice, "kind": ApiKey.Kind.PERSONAL},
    }.items():
        _, secret = keys.create(**{"workspace": tenant.workspace, "user": tenant.owner, "name": name, **options})
        made[name] = Api(secret)
    return {**made, "owner": Api(access_token(tenant.owner)), "member": Api(access_token(alice))}


def fill(tenant: Tenant, alice: User, closed: Agent) -> list[Thread]:
    chance = random.Random(3)
    made = []
    for number in range(40):
        thread = actions.create(
            actor=tenant.actor,
            agent_id=(tenant.agent if number % 3 else closed).pk,
            now=timezone.now(),
            title=chance.choice([None, "", f"number {number}"]),
            external_ref=chance.choice([None, "", "customer-1", "customer-2"]),
            metadata=chance.choice([{}, {"plan": "gold"}, {"plan": "gold", "n": 1.5e300, "deep": [{"a": None}]}]),
        )
        if number % 4 == 0:
            Thread.objects.filter(pk=thread.pk).update(user=alice)
        appending.append(actor=tenant.actor, thread=thread, drafts=[Draft(role="user", content=str(number))])
        if number % 7 == 0:
            thread.refresh_from_db()
            acts.archive(actor=tenant.actor, thread=thread, now=timezone.now())
        made.append(thread)
    return made


def test_each_list_reads_the_same_for_everybody(
    tenant: Tenant, alice: User, closed: Agent, askers: dict[str, Api], monkeypatch: pytest.MonkeyPatch
) -> None:
    made = fill(tenant, alice, closed)
    monkeypatch.setattr(thread_rows, "SHALLOW", 1)  # so that a few rows have two ends
    by_rows = count_calls(monkeypatch, thread_rows, "page")
    named = {"agent": tenant.agent.wire_id, "closed": closed.wire_id, "alice": ids.encode("user", alice.pk)}
    for with_policy in (False, True):
        if with_policy:
            holds.place(actor=tenant.actor, scope="thread", target_id=made[0].pk, reason="a suit", now=timezone.now())
            policies.create(
                actor=tenant.actor,
                now=timezone.now(),
                name="old ones",
                scope="workspace",
                action="purge",
                counted_from="last_activity",
                days=30,
            )
        everything = list(itertools.product(askers.items(), LISTS, NARROWINGS, PAGES))
        for (name, api), path, narrowing, page in random.Random(11).sample(everything, 60 if with_policy else 240):
            query = f"{path}?{narrowing}&{page}&include_messages=false".format(**named)
            query = query if path == "/threads" else query.replace("&include_messages=false", "")
            shown = api.get(query)
            with by_objects(monkeypatch):
                plain = api.get(query)
            assert said(shown) == said(plain), (name, query)
    assert by_rows.pages > 80


def said(answer: Any) -> tuple[int, bytes]:
    """What is answered; of a refusal without the request's id."""
    if answer.status_code == 200:
        return 200, answer.content
    return answer.status_code, json.dumps(answer.json() | {"request_id": ""}).encode()


class Calls:
    pages = 0


def count_calls(monkeypatch: pytest.MonkeyPatch, module: Any, name: str) -> Calls:
    """How often it gave something."""
    calls, original = Calls(), getattr(module, name)

    def counted(*args: Any, **asked: Any) -> Any:
        found = original(*args, **asked)
        calls.pages += found is not None
        return found

    monkeypatch.setattr(module, name, counted)
    return calls


@pytest.mark.parametrize("order", ["asc", "desc"])
def test_a_deep_page_is_right_however_long_the_list_was(
    tenant: Tenant, monkeypatch: pytest.MonkeyPatch, django_assert_num_queries: Any, order: str
) -> None:
    """It is read from the nearer end, and how far that is was known a moment ago."""
    monkeypatch.setattr(thread_rows, "SHALLOW", 1)
    wanted, ascending = thread_rows.Wanted(tenant.actor), order == "asc"
    made: list[Thread] = []

    def grow(by: int) -> list[Any]:
        for _ in range(by):
            made.append(actions.create(actor=tenant.actor, agent_id=tenant.agent.id, now=timezone.now()))
        rows = Thread.objects.order_by("created_at", "id").values_list("pk", flat=True)
        return list(rows if ascending else rows[::-1])

    def read(skip: int) -> tuple[list[Any], int]:
        page = thread_rows.page(wanted, now=timezone.now(), ascending=ascending, skip=skip, rows=3)
        assert page is not None
        return [row.id for row in page.rows], page.count

    expected = grow(9)
    with django_assert_num_queries(2):  # its length, and the page
        assert read(7) == (expected[7:10], 9)
    for skip in (2, 5, 6, 7, 8):
        with django_assert_num_queries(1):
            assert read(skip) == (expected[skip : skip + 3], 9)
    expected = grow(12)  # which nobody has seen yet
    for skip in (7, 20, 8, 3, 18):
        assert read(skip) == (expected[skip : skip + 3], 21)
    Thread.objects.filter(pk__in=[each.pk for each in made[:11]]).delete()
    expected = grow(0)
    for skip in (8, 7, 9, 2):
        assert read(skip) == (expected[skip : skip + 3], 10)


def test_each_thread_reads_the_same_for_everybody(
    tenant: Tenant, alice: User, closed: Agent, askers: dict[str, Api], monkeypatch: pytest.MonkeyPatch
) -> None:
    made = fill(tenant, alice, closed)[:8]
    with_files = Draft(role="user", content="x", kind="document", uploads=[Upload("a.pdf", "application/pdf", b"a")])
    appending.append(actor=tenant.actor, thread=made[1], drafts=[with_files])
    for number in range(3):
        appending.append(actor=tenant.actor, thread=made[2], drafts=[Draft(role="user", content=str(number))])
    made[2].refresh_from_db()
    branches.fork(thread=made[2], before=2, actor=tenant.actor, now=timezone.now())
    holds.place(actor=tenant.actor, scope="thread", target_id=made[1].pk, reason="a suit", now=timezone.now())
    by_rows = count_calls(monkeypatch, whole_rows, "read")
    for (name, api), thread in itertools.product(askers.items(), made):
        for path in (f"/threads/{thread.wire_id}", f"/agents/{tenant.agent.wire_id}/threads/{thread.wire_id}"):
            shown = api.get(path)
            with by_objects(monkeypatch):
                plain = api.get(path)
            assert said(shown) == said(plain), (name, path)
    assert by_rows.pages > 20


CHARACTERS = st.characters(exclude_characters="\0", codec="utf-8")  # what a body can hold once it was parsed
TITLE = st.none() | st.text(CHARACTERS, max_size=3) | st.sampled_from(["t" * 1000, "t" * 1001]) | st.integers()
BODY = st.fixed_dictionaries(
    {},
    optional={
        "role": st.sampled_from(["user", "assistant", "system", "tool", "USER", "", None, 1, ["user"], "nobody"]),
        "content": st.none() | st.text(CHARACTERS, max_size=5) | st.integers() | st.just({}) | st.just(True),
        "title": TITLE,
        "name": st.none() | st.sampled_from(["", " ", "n", "n" * 200, "n" * 201, 7]),
        "message_type": st.sampled_from(["text", "image", "document", None, "", "Text", 3]),
        "tool_calls": st.sampled_from([None, [], [{"function": "f"}]]),
        "unknown": st.none(),
    },
)
THREAD = st.fixed_dictionaries(
    {},
    optional={
        "title": TITLE,
        "external_ref": st.none() | st.sampled_from(["", " ", "r", "r" * 255, "r" * 256, "r" * 1024, "r" * 1025, 5]),
        "metadata": st.none()
        | st.dictionaries(
            st.text(CHARACTERS, max_size=3),
            st.none() | st.integers(-9, 9) | st.floats(0, 1) | st.text(CHARACTERS, max_size=3),
        )
        | st.sampled_from([[], "x", {"a": {"b": [None, True]}}, {"long": "x" * 16_373}, {"long": "x" * 16_374}]),
        "unknown": st.none(),
    },
)
MANY = settings(max_examples=1000, deadline=None, phases=[Phase.explicit, Phase.generate])


@MANY
@given(body=BODY)
def test_a_message_taken_as_plain_is_what_its_serializer_reads(body: dict[str, Any]) -> None:
    taken = plain_bodies.message(body)
    if taken is not None:
        serializer = NewMessage(data=body)
        assert serializer.is_valid(), serializer.errors
        read = dict(serializer.validated_data)
        assert read.pop("message_type", None) in (None, "text")
        assert taken == Draft(**read, id=taken.id)


@MANY
@given(body=THREAD)
def test_a_thread_taken_as_plain_is_what_its_serializer_reads(body: dict[str, Any]) -> None:
    taken = plain_bodies.thread(body)
    if taken is not None:
        serializer = NewThread(data=body)
        assert serializer.is_valid(), serializer.errors
        assert taken == dict(serializer.validated_data)


def stored(model: Any, **where: Any) -> list[dict[str, Any]]:
    """What stands in a table, without what is another one each time."""
    passing = {"id", "created_at", "updated_at", "last_activity_at", "at", "salt", "request_id", "thread_id", "ids"}
    rows = model.objects.filter(**where).order_by("id").values()
    return [{name: value for name, value in row.items() if name not in passing} for row in rows]


def shape(value: Any) -> Any:
    """An answer with its own ids and times out of sight."""
    if isinstance(value, dict):
        return {key: "…" if key in PASSING and item is not None else shape(item) for key, item in value.items()}
    return value


PASSING = {"request_id", "id", "thread_id", "created_at", "updated_at", "last_activity_at"}


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(body=BODY, new=THREAD)
def test_what_is_written_is_the_same_both_ways(
    tenant: Tenant, alice: User, closed: Agent, askers: dict[str, Api], body: dict[str, Any], new: dict[str, Any]
) -> None:
    monkeypatch = pytest.MonkeyPatch()
    for api in askers.values():
        both: list[Any] = []
        for way in (0, 1):
            before = ids.new()
            answers: list[Any] = []
            with by_objects(monkeypatch) if way else nullcontext():
                for agent in (tenant.agent, closed):
                    made = api.post(f"/agents/{agent.wire_id}/threads", json.loads(json.dumps(new)))
                    answers.append((made.status_code, shape(made.json()), "Location" in made))
                    if made.status_code == 200:
                        at = f"{made['Location']}/messages"
                        said = [api.post(at, json.loads(json.dumps(body))) for _ in range(2)]
                        answers += [(each.status_code, shape(each.json()), "Location" in each) for each in said]
            both.append((answers, *(stored(model, id__gt=before) for model in (Thread, Message, AuditEvent))))
        assert both[0] == both[1]


def test_a_thread_that_was_read_is_told_by_one_statement_to_be_the_same(
    tenant: Tenant, api: Api, django_assert_num_queries: Any
) -> None:
    thread = actions.create(actor=tenant.actor, agent_id=tenant.agent.pk, now=timezone.now())
    path = f"/threads/{thread.wire_id}"
    api.post(f"{path}/messages", {"role": "user", "content": "hello"})
    with django_assert_num_queries(2):  # the key, the thread with its messages
        tag = api.get(path)["ETag"]
    with django_assert_num_queries(2):  # the key, the thread's row
        again = api.get(path, headers={"If-None-Match": tag})
    assert (again.status_code, again.content, again["ETag"]) == (304, b"", tag)
    assert api.get(path, headers={"If-None-Match": f'"other", {tag}'}).status_code == 304
    for changed in (
        lambda: api.post(f"{path}/messages", {"role": "user", "content": "more"}),
        lambda: api.patch(path, {"title": "Named"}),
        lambda: api.delete(f"{path}/messages/{Message.objects.latest('position').wire_id}"),
        lambda: holds.place(actor=tenant.actor, scope="thread", target_id=thread.pk, reason="x", now=timezone.now()),
    ):
        changed()
        answer = api.get(path, headers={"If-None-Match": tag})
        assert answer.status_code == 200
        assert answer.json()["id"] == thread.wire_id
        assert answer["ETag"] != tag
        tag = answer["ETag"]
        assert api.get(path, headers={"If-None-Match": tag}).status_code == 304
