"""So many answers may be open at once, over all processes; what a killed process had is free again."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.conftest import Tenant
from tests.faults import site
from threadhub.limits import streams
from threadhub.limits.models import StreamPlaces
from threadhub.limits.streams import TooManyStreams
from threadhub.limits.subjects import Subject

LEASE = "3"
EVENTS = {"Accept": "text/event-stream"}


@pytest.fixture
def _held_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("_used", "_held"):
        monkeypatch.setattr(streams, name, {})


@contextlib.contextmanager
def opened(stack: contextlib.ExitStack, web: site.Web, tenant: Tenant) -> Iterator[httpx.Response]:
    """One more question in a thread of its own; no worker runs, so its stream stays open."""
    client = httpx.Client(base_url=web.url, headers={"Authorization": f"Bearer {tenant.key}"}, trust_env=False)
    stack.callback(client.close)
    path = f"/agents/{tenant.agent.wire_id}/invoke"
    answer = client.send(client.build_request("POST", path, json={"prompt": "?"}, headers=EVENTS), stream=True)
    yield answer


def status(stack: contextlib.ExitStack, web: site.Web, tenant: Tenant) -> int:
    with opened(stack, web, tenant) as answer:
        if answer.status_code != 200:
            answer.close()
        return answer.status_code


@pytest.mark.django_db(transaction=True)
def test_two_servers_count_together_and_a_killed_ones_places_are_free(tenant: Tenant, tmp_path: Path) -> None:
    limits = {"STREAMS_KEY": "3", "STREAM_LEASE_SECONDS": LEASE}
    with contextlib.ExitStack() as stack, site.webs(tmp_path, 2, **limits) as (one, other):
        assert [status(stack, web, tenant) for web in (one, other, one)] == [200, 200, 200]
        for web in (one, other):
            with opened(stack, web, tenant) as refused:
                refused.read()
                assert (refused.status_code, refused.headers["Retry-After"]) == (429, "5")
                assert refused.json()["code"] == "too_many_streams"
        chat = httpx.post(
            f"{other.url}/api/ai/{tenant.agent.wire_id}/chat-completion?stream=true",
            json={"messages": [{"role": "user", "content": "?"}]},
            headers={"x-api-key": tenant.key},
            trust_env=False,
        )
        assert (chat.status_code, chat.json()["code"], chat.headers["Retry-After"]) == (429, "too_many_streams", "5")
        one.kill()
        site.until(lambda: status(stack, other, tenant) == 200)
        assert status(stack, other, tenant) == 200
        assert status(stack, other, tenant) == 429


@pytest.mark.django_db(transaction=True)
def test_a_reader_who_goes_frees_the_place_and_other_answers_take_none(tenant: Tenant, tmp_path: Path) -> None:
    with site.webs(tmp_path, 1, STREAMS_KEY="1", STREAM_LEASE_SECONDS=LEASE) as (web,):
        for _ in range(3):
            nothing = httpx.post(
                f"{web.url}/agents/{tenant.agent.wire_id}/invoke",
                json={"nothing": 1},
                headers={"Authorization": f"Bearer {tenant.key}"},
                trust_env=False,
            )
            assert nothing.status_code == 422
        with contextlib.ExitStack() as stack:
            assert status(stack, web, tenant) == 200
            assert status(stack, web, tenant) == 429
        with contextlib.ExitStack() as stack:
            site.until(lambda: status(stack, web, tenant) == 200)


@pytest.mark.django_db
@pytest.mark.usefixtures("_held_nothing")
def test_a_process_asks_once_for_several_places(django_assert_num_queries: Any) -> None:
    """BEGIN (a savepoint here), the lock, the statement, and the release: for the 16th part of 160."""
    subject = Subject("key_streams", "key:many", 160)
    with django_assert_num_queries(4):
        places = [streams.take([subject]) for _ in range(10)]
    assert StreamPlaces.objects.get().held == 10
    for place in places:
        place.release()
        place.release()
    streams.renew()
    assert not StreamPlaces.objects.exists()


@pytest.mark.django_db
@pytest.mark.usefixtures("_held_nothing")
def test_a_place_counts_for_all_of_its_subjects_or_for_none() -> None:
    many, few = Subject("session_streams", "s", 10), Subject("address_streams", "a", 1)
    streams.take([many, few])
    with pytest.raises(TooManyStreams):
        streams.take([many, few])
    assert streams._used[many.id] == 1


@pytest.mark.django_db
@pytest.mark.usefixtures("_held_nothing")
def test_a_process_has_a_limit_of_its_own(settings: Any) -> None:
    settings.STREAMS_PROCESS = streams._open + 1
    place = streams.take([])
    with pytest.raises(TooManyStreams):
        streams.take([])
    place.release()
    streams.take([]).release()
