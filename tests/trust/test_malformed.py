"""Malformed requests by the thousand: never a 5xx, each error in its dialect, short, and telling nothing of the inside.

`pytest --thorough` sends ten thousand.
"""

import logging
import re
from typing import Any

import pytest
from django.db import transaction
from django.test import Client

from tests.trust.operations import let_go
from tests.trust.requests import Bad, Maker
from tests.trust.world import World, build
from threadhub.api.dialect import dialect_of

PARTS = 4
NORMALLY, THOROUGHLY = 2_000, 10_000
MOST_BYTES = 4_096
INSIDE = re.compile(
    rb"Traceback|File \\?\"|\.py\b|psycopg|django\.|SELECT |INSERT INTO|UPDATE \w+_|DETAIL:|site-packages|/home/|/usr/"
)


@pytest.fixture
def world(db: None, nobody_waits_for_runs: None) -> World:
    logging.disable(logging.CRITICAL)  # thousands of lines about requests that were refused
    yield build()  # type: ignore[misc]
    logging.disable(logging.NOTSET)


def faults(bad: Bad, response: Any) -> list[str]:
    """What is wrong with the answer."""
    if response.status_code >= 500:
        return [f"{response.status_code}"]
    if response.status_code < 400 or response.streaming:
        return []
    content = response.content
    path = bad.path.partition("?")[0]
    found = [] if len(content) <= MOST_BYTES else [f"{len(content)} bytes"]
    found += [f"tells {inside[0]!r}" for inside in [INSIDE.search(content)] if inside and inside[0] not in bad.body]
    if bad.method == "HEAD" or dialect_of(path) is None:
        return found
    wanted = "application/json" if dialect_of(path) == "ai" else "application/problem+json"
    if response["Content-Type"] != wanted:
        return [*found, f"is {response['Content-Type']}"]
    body = response.json()
    names = (
        {"error", "message", "code", "requestId"} if dialect_of(path) == "ai" else {"type", "status", "detail", "code"}
    )
    return found if names <= body.keys() else [*found, f"has {sorted(body)}"]


def send(client: Client, bad: Bad) -> Any:
    """The request as it is, past the conveniences of the test client."""
    path, _, query = bad.path.partition("?")
    headers = {f"HTTP_{name.upper().replace('-', '_')}": text for name, text in bad.headers.items()}
    content_type = headers.pop("HTTP_CONTENT_TYPE", "")
    headers.pop("HTTP_CONTENT_LENGTH", None)
    return let_go(client.generic(bad.method, path, bad.body, content_type=content_type, QUERY_STRING=query, **headers))


@pytest.mark.parametrize("part", range(PARTS))
def test_no_malformed_request_is_more_than_an_error(world: World, part: int, request: pytest.FixtureRequest) -> None:
    maker = Maker(seed=part, named=world.other.named)
    clients = [world.callers[who].api for who in ("key", "owner", "session", "nobody")]
    findings = []
    for number in range((THOROUGHLY if request.config.getoption("--thorough") else NORMALLY) // PARTS):
        bad = maker.make()
        with transaction.atomic():
            response = send(clients[number % len(clients)], bad)
            transaction.set_rollback(True)
        findings += [f"{bad}: {fault}: {response.content[:200]!r}" for fault in faults(bad, response)]
    assert not findings, f"{len(findings)}:\n" + "\n".join(finding[:700] for finding in findings[:40])
