"""Wrong passwords are limited, for all faces together; nobody locks another one out."""

from typing import Any

import pytest
from django.test import Client

from tests.conftest import PASSWORD, Api
from threadhub.limits import sign_ins
from threadhub.workspaces.models import User

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _three_tries(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Three of each kind: few enough that none comes back while a test runs."""
    settings.RATE_LIMIT_SIGN_IN = 3
    monkeypatch.setattr(sign_ins, "OF_ADDRESS", 1)
    monkeypatch.setattr(sign_ins, "OF_NAME", 1)


def sign_in(password: str, username: str = "alice", address: str = "192.0.2.1") -> Any:
    body = {"username": username, "password": password, "authType": "oauth"}
    return Api().post("/api/signin", body, REMOTE_ADDR=address)


def tries(number: int, **who: str) -> list[int]:
    return [sign_in("wrong", **who).status_code for _ in range(number)]


def test_it_refuses_after_some_wrong_ones_even_the_right_one(alice: User) -> None:
    assert tries(4) == [401, 401, 401, 429]
    refused = sign_in(PASSWORD)
    assert (refused.status_code, refused.json()["code"], refused["Retry-After"]) == (429, "rate_limited", "20")


def test_right_ones_do_not_count(alice: User) -> None:
    assert {sign_in(PASSWORD).status_code for _ in range(20)} == {200}
    assert tries(4) == [401, 401, 401, 429]


def test_another_address_is_not_refused(alice: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sign_ins, "OF_NAME", 10)
    assert tries(4)[-1] == 429
    assert sign_in(PASSWORD, address="192.0.2.2").status_code == 200


def test_one_address_may_not_try_many_names(alice: User) -> None:
    assert [tries(1, username=f"name {number}")[0] for number in range(4)] == [401] * 3 + [429]


def test_many_addresses_may_not_try_one_name_for_ever(alice: User) -> None:
    said = [tries(1, address=f"198.51.100.{number}")[0] for number in range(4)]
    assert said == [401] * 3 + [429]


def test_a_user_is_let_in_from_where_they_came_before(alice: User) -> None:
    assert sign_in(PASSWORD, address="203.0.113.1").status_code == 200
    for number in range(4):
        tries(1, address=f"198.51.100.{number}")
    assert sign_in(PASSWORD, address="203.0.113.2").status_code == 429
    assert sign_in(PASSWORD, address="203.0.113.1").status_code == 200


def test_the_console_is_limited_too(alice: User) -> None:
    User.objects.filter(pk=alice.pk).update(is_staff=True)
    client = Client()
    for _ in range(3):
        said = client.post("/admin/login/", {"username": "alice", "password": "wrong"})
        assert "Too many" not in said.text
    said = client.post("/admin/login/", {"username": "alice", "password": PASSWORD})
    assert said.status_code == 200
    assert "Too many attempts to sign in" in said.text
    assert sign_in(PASSWORD, address="127.0.0.1").status_code == 429
