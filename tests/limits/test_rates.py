"""Every request counts, to who asks; too many are refused, in the shape of the dialect."""

import re
from pathlib import Path
from typing import Any

import httpx
import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from tests.conftest import Api, Tenant, access_token
from tests.faults import site
from threadhub.lib.client_address import networks
from threadhub.limits import rates, subjects, upkeep
from threadhub.limits.models import RateBucket
from threadhub.limits.rates import LARGEST_SHARE
from threadhub.limits.subjects import Subject
from threadhub.workspaces.models import User

pytestmark = pytest.mark.django_db
AI, REST = "/api/ai/threads", "/threads"


def answers(api: Api, path: str, number: int) -> list[Any]:
    return [api.get(path) for _ in range(number)]


@pytest.fixture(params=[AI, REST])
def path(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_it_lets_in_the_quota_and_refuses_the_next(api: Api, path: str, settings: Any) -> None:
    settings.RATE_LIMIT_KEY = 5
    assert [each.status_code for each in answers(api, path, 6)] == [200] * 5 + [429]


def test_a_refusal_says_when_to_come_again(api: Api, path: str, settings: Any) -> None:
    settings.RATE_LIMIT_KEY = 2
    refused = answers(api, path, 3)[-1]
    body = refused.json()
    assert (body["code"], refused["Retry-After"]) == ("rate_limited", "30")
    assert refused["RateLimit"] == '"key";r=0;t=60'
    if path == REST:
        assert (refused["Content-Type"], body["status"]) == ("application/problem+json", 429)
    else:
        assert body["message"] == body["error"]


def test_every_answer_says_what_is_left(api: Api, path: str, settings: Any) -> None:
    settings.RATE_LIMIT_KEY = 4
    left = [each["RateLimit"] for each in answers(api, path, 3)]
    assert [re.findall(r'"key";r=(\d+)', each)[0] for each in left] == ["3", "2", "1"]
    assert api.get(path)["RateLimit-Policy"] == '"key";q=4;w=60'


def test_errors_count_and_say_so_too(api: Api, settings: Any) -> None:
    settings.RATE_LIMIT_KEY = 2
    assert [api.post("/threads/none/messages", {"x": 1})["RateLimit"] for _ in range(2)] == [
        '"key";r=1;t=30',
        '"key";r=0;t=60',
    ]
    assert api.get("/threads/none").status_code == 429


def test_a_key_may_have_a_lower_limit_of_its_own(api: Api, settings: Any) -> None:
    settings.RATE_LIMIT_KEY = 100
    made = api.post("/api_keys", {"name": "slow", "scopes": ["read"], "rate_limit": 2})
    assert (made.status_code, made.json()["rate_limit"]) == (201, 2)
    slow = Api(made.json()["secret"])
    assert [each.status_code for each in answers(slow, "/threads", 3)] == [200, 200, 429]
    where = f"/api_keys/{made.json()['id']}"
    assert api.patch(where, {"rate_limit": 101}).status_code == 422
    assert api.patch(where, {"rate_limit": None}).json()["rate_limit"] is None
    assert slow.get("/threads")["RateLimit-Policy"] == '"key";q=100;w=60'


def test_zero_is_off(api: Api, settings: Any) -> None:
    settings.RATE_LIMIT_KEY = 0
    assert "RateLimit" not in api.get("/threads")


def test_one_key_does_not_count_for_another(api: Api, other_tenant: Tenant, settings: Any) -> None:
    settings.RATE_LIMIT_KEY = 1
    assert [each.status_code for each in answers(api, "/threads", 2)] == [200, 429]
    assert Api(other_tenant.key).get("/threads").status_code == 200


def test_people_and_visitors_have_limits_of_their_own(api: Api, alice: User, tenant: Tenant, settings: Any) -> None:
    settings.RATE_LIMIT_USER, settings.RATE_LIMIT_SESSION = 1, 2
    person = Api(access_token(alice))
    assert [each.status_code for each in answers(person, "/threads", 2)] == [200, 429]
    opened = api.post("/chat_sessions", {"agent_id": tenant.agent.wire_id, "external_ref": "v"}).json()
    visitor = Api(opened["chat_token"])
    path = f"/chat_sessions/{opened['id']}/threads"
    assert [each.status_code for each in answers(visitor, path, 3)] == [200, 200, 429]
    assert visitor.get(path)["RateLimit-Policy"] == '"session";q=2;w=60'


def test_who_is_nobody_is_counted_by_address(path: str, settings: Any) -> None:
    settings.RATE_LIMIT_ADDRESS = 2
    bad = Api("th_nonsense")
    assert [each.status_code for each in answers(bad, path, 3)] == [401, 401, 429]
    assert bad.get(path, REMOTE_ADDR="192.0.2.7").status_code == 401


def test_nobody_spends_what_is_a_keys(api: Api, settings: Any) -> None:
    settings.RATE_LIMIT_ADDRESS = 1
    assert [each.status_code for each in answers(Api("th_nonsense"), "/threads", 2)] == [401, 429]
    assert api.get("/threads").status_code == 200


def test_the_address_is_believed_from_trusted_proxies_only(settings: Any) -> None:
    settings.RATE_LIMIT_ADDRESS = 1
    bad = Api("th_nonsense")
    said = [bad.get("/threads", headers={"X-Forwarded-For": f"192.0.2.{n}"}).status_code for n in range(2)]
    assert said == [401, 429]
    settings.TRUSTED_PROXIES = networks(["127.0.0.0/8"])
    said = [bad.get("/threads", headers={"X-Forwarded-For": f"192.0.2.{n}"}).status_code for n in range(2)]
    assert said == [401, 401]


def test_an_ipv6_network_is_one_address() -> None:
    assert subjects.network_of("2001:db8::1") == subjects.network_of("2001:db8::ffff:1") == "2001:db8::"
    assert subjects.network_of("2001:db8:0:1::1") != subjects.network_of("2001:db8::1")
    assert subjects.network_of("192.0.2.1") == "192.0.2.1"


def test_a_request_costs_one_statement_per_share_borrowed(django_assert_num_queries: Any) -> None:
    """The statement is sql.TAKE; in between, none."""
    many = Subject("key", "key:many", 100_000)
    with django_assert_num_queries(1):
        for _ in range(LARGEST_SHARE):
            rates.spend(many)
    with django_assert_num_queries(1):
        rates.spend(many)


def test_an_asker_who_is_refused_costs_nothing_more(django_assert_num_queries: Any) -> None:
    few = Subject("key", "key:few", 1)
    rates.spend(few)
    assert refused(few)
    with django_assert_num_queries(0):
        assert all(refused(few) for _ in range(10))


def refused(subject: Subject) -> bool:
    allowance = rates.spend(subject)
    return allowance is not None and not allowance.allowed


def test_processes_share_a_bucket() -> None:
    """As if each had a memory of its own: what one forgets was borrowed, and is gone for the others."""
    subject = Subject("key", "key:shared", 320)
    granted = 0
    for _ in range(1000):
        rates.forget()
        if refused(subject):
            break
        granted += 1
    assert granted < 60  # each of them took its share of 10, and in the end less


def test_what_was_borrowed_and_not_used_goes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rates, "LEASE_SECONDS", 0.0)
    subject = Subject("key", "key:back", 320)
    assert sum(not refused(subject) for _ in range(330)) >= 320


def test_upkeep_forgets_full_buckets() -> None:
    rates.spend(Subject("key", "key:old", 10))
    assert upkeep.forget_old(now=timezone.now()) == 0
    RateBucket.objects.update(refilled_at=timezone.now() - upkeep.FULL_AGAIN * 2)
    assert upkeep.forget_old(now=timezone.now()) == 1


def test_buckets_tell_nothing_of_their_askers(settings: Any) -> None:
    settings.RATE_LIMIT_ADDRESS = 10
    with CaptureQueriesContext(connection) as queries:
        Api("th_nonsense").get("/threads")
    taken = [each["sql"] for each in queries if "limits_ratebucket" in each["sql"]]
    assert len(taken) == 1
    assert "127.0.0.1" not in taken[0]


@pytest.mark.django_db(transaction=True)
def test_two_servers_count_together(tenant: Tenant, tmp_path: Path) -> None:
    """Thirty, and what comes back meanwhile: one in two seconds. Near the end one server may be refused what the other
    has borrowed."""
    with site.webs(tmp_path, 2, RATE_LIMIT_KEY="30") as (one, other):
        said = []
        for number in range(60):
            web = (one, other)[number % 2]
            said.append(httpx.get(f"{web.url}/threads", headers={"x-api-key": tenant.key}, trust_env=False).status_code)
        assert said[:24] == [200] * 24
        assert 30 <= said.count(200) < 60
        assert said.count(200) + said.count(429) == 60
