"""A list's cursor and an idempotency key of somebody else's: they lead to nothing of theirs."""

from typing import Any

import pytest
from django.core import signing
from django.db import transaction

from tests.conftest import Api
from tests.trust import bodies, samples
from tests.trust.matrix import ANY_ID, REQUEST_ID, fill
from tests.trust.operations import Operation, let_go, operations
from tests.trust.world import World, build
from threadhub.lib import json

STRANGERS = ("key", "another member's key")


@pytest.fixture
def world(db: None, nobody_waits_for_runs: None) -> World:
    return build()


def address(operation: Operation, named: dict[str, str]) -> str:
    return fill(operation.path, {name: named[noun] for name, noun in samples.in_path(operation).items()})


def answer(response: Any) -> tuple[int, bytes]:
    return response.status_code, REQUEST_ID.sub(b"", b"" if response.streaming else response.content)


def test_a_cursor_of_another_workspace_is_as_good_as_nonsense(world: World) -> None:
    victim, stranger = Api(world.victim.tenant.key), Api(world.other.tenant.key)
    tried = 0
    for operation in operations():
        if operation.method != "GET" or "cursor" not in operation.query:
            continue
        first = victim.get(address(operation, world.victim.named), {"take": "1"})
        link = first.json().get("next") if first.status_code == 200 else None
        if link is None:
            continue
        cursor = link.partition("cursor=")[2].partition("&")[0].replace("%3A", ":")
        place = cursor.rpartition(":")[0]
        assert victim.get(address(operation, world.victim.named), {"cursor": cursor}).status_code == 200, operation
        nonsense = signing.Signer(salt="of no list").sign(place)
        for named in (world.other.named, world.victim.named):
            path = address(operation, named)
            foreign = answer(stranger.get(path, {"cursor": cursor}))
            assert foreign == answer(stranger.get(path, {"cursor": nonsense})), operation
            assert foreign[0] in (404, 422), operation
        tried += 1
    assert tried >= 8


MEMBERS = ("another member", "another member's key")


@pytest.mark.parametrize("who", MEMBERS)
def test_a_cursor_of_somebody_who_sees_more_shows_no_more(world: World, who: str) -> None:
    """Inside one workspace: the owner's place in a list, given to a member."""
    owner, member = Api(world.victim.tenant.key), world.callers[who].api
    tried = 0
    for operation in operations():
        if operation.method != "GET" or "cursor" not in operation.query:
            continue
        path = address(operation, world.victim.named)
        first = owner.get(path, {"take": "1"})
        link = first.json().get("next") if first.status_code == 200 else None
        if link is None:
            continue
        cursor = link.partition("cursor=")[2].partition("&")[0].replace("%3A", ":")
        own = member.get(path, {"take": "100"})
        borrowed_page = member.get(path, {"take": "100", "cursor": cursor})
        assert borrowed_page.status_code == own.status_code, operation
        sent = set(ANY_ID.findall(f"{path} {cursor}".encode()))
        assert set(_ids(borrowed_page)) - sent <= set(_ids(own)), operation
        tried += own.status_code == 200
    assert tried >= 2


@pytest.mark.parametrize("who", STRANGERS)
def test_a_used_idempotency_key_never_gives_its_users_answer(world: World, who: str) -> None:
    victim, stranger = Api(world.victim.tenant.key), world.callers[who].api
    used = 0
    for operation in operations():
        if operation.method == "POST":
            with transaction.atomic():
                used += borrowed(operation, world, victim, stranger)
                transaction.set_rollback(True)
    assert used >= 8


def borrowed(operation: Operation, world: World, victim: Api, stranger: Api) -> bool:
    """The victim, then the stranger with the same key, path and body; whether the key had been kept."""
    path, body = address(operation, world.victim.named), bodies.body_of(operation)
    data = b"" if body is None else json.dumps(body)

    def ask(who: Api, key: str) -> Any:
        return let_go(who.generic("POST", path, data, headers={"Idempotency-Key": key}))

    first = ask(victim, "used")
    again = ask(victim, "used")
    with transaction.atomic():
        fresh = ask(stranger, "never used")
        transaction.set_rollback(True)
    foreign = ask(stranger, "used")
    assert "Idempotent-Replayed" not in foreign, operation
    assert foreign.status_code == fresh.status_code, operation
    sent = set(ANY_ID.findall(path.encode() + data))
    theirs = set(_ids(first)) - sent - set(_ids(fresh))
    assert not theirs & set(_ids(foreign)), operation
    return "Idempotent-Replayed" in again


def _ids(response: Any) -> set[bytes]:
    return {match.group() for match in ANY_ID.finditer(answer(response)[1])}
