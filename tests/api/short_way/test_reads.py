"""What is read by the short way is as by the whole one."""

import json
from urllib.parse import quote

import pytest
from django.utils import timezone

from tests.api.short_way.asking import Asking, both
from tests.conftest import Tenant
from threadhub.short_way import GoneWrong, Plain
from threads.lifecycle import acts
from threads.models import Message, Thread

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
