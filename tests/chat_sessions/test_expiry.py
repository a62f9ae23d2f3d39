"""The life of sessions and chat tokens, with the clock in hand."""

from datetime import datetime, timedelta
from typing import Any

import jwt
import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from chat_sessions import endings, sessions, tokens
from chat_sessions.models import ChatSession
from chat_sessions.refresh import refresh
from chat_sessions.sessions import InvalidRefreshToken, Opened
from chat_sessions.tokens import InvalidChatToken
from tests.chat_sessions.conftest import NOON, SECOND
from tests.conftest import Tenant
from threadhub.lib import ids

IDLE = timedelta(hours=2)
ABSOLUTE = timedelta(hours=5)
TOKEN = timedelta(hours=10)
MICROSECOND = timedelta(microseconds=1)


@pytest.fixture(autouse=True)
def lifetimes(settings: Any) -> None:
    settings.CHAT_SESSION_IDLE_SECONDS = IDLE.total_seconds()
    settings.CHAT_SESSION_SECONDS = ABSOLUTE.total_seconds()
    settings.CHAT_TOKEN_SECONDS = TOKEN.total_seconds()


def enters(token: str, now: datetime) -> bool:
    try:
        tokens.authenticate(chat_token=token, now=now)
    except InvalidChatToken:
        return False
    return True


def test_it_expires_when_nothing_is_done(opened: Opened) -> None:
    assert not enters(opened.chat_token, NOON + IDLE)
    assert enters(opened.chat_token, NOON + IDLE - MICROSECOND)


def test_whoever_does_something_stays(opened: Opened) -> None:
    assert enters(opened.chat_token, NOON + IDLE - SECOND)
    assert enters(opened.chat_token, NOON + 2 * IDLE - 2 * SECOND)


def test_but_not_for_ever(opened: Opened) -> None:
    now = NOON
    while now < NOON + ABSOLUTE - SECOND:
        assert enters(opened.chat_token, now)
        now += IDLE / 2
    opened.session.refresh_from_db()
    assert opened.session.idle_expires_at == opened.session.expires_at == NOON + ABSOLUTE
    assert enters(opened.chat_token, NOON + ABSOLUTE - SECOND)
    assert not enters(opened.chat_token, NOON + ABSOLUTE)


def test_activity_is_written_once_a_minute(opened: Opened) -> None:
    def writes(now: datetime) -> int:
        with CaptureQueriesContext(
            connection,
        ) as queries:
            assert enters(opened.chat_token, now)
        return sum(query["sql"].startswith("UPDATE") for query in queries)

    minute = timedelta(minutes=1)
    assert [writes(NOON + after) for after in (SECOND, minute, minute + SECOND, 2 * minute)] == [0, 1, 0, 1]
    near_the_end = NOON + ABSOLUTE - IDLE
    for now in (NOON + IDLE - SECOND, near_the_end - 30 * SECOND):
        assert enters(opened.chat_token, now)
    assert [writes(near_the_end + after) for after in (SECOND, 2 * SECOND, 30 * SECOND)] == [1, 0, 0]


def test_a_server_that_acts_in_it_keeps_it_alive(opened: Opened, tenant: Tenant) -> None:
    now = NOON + IDLE - SECOND
    sessions.enter(actor=tenant.actor, session_id=opened.session.pk, now=now)
    assert enters(opened.chat_token, NOON + IDLE)


def test_looking_at_it_does_not(opened: Opened, tenant: Tenant) -> None:
    sessions.get(actor=tenant.actor, session_id=opened.session.pk, now=NOON + IDLE - SECOND)
    assert not enters(opened.chat_token, NOON + IDLE)


def test_a_refresh_keeps_it_alive_and_an_expired_one_is_not_refreshed(opened: Opened) -> None:
    now = NOON + IDLE - SECOND
    token = refresh(session_id=opened.session.pk, refresh_token=opened.refresh_token, now=now).refresh_token
    opened.session.refresh_from_db()
    assert opened.session.idle_expires_at == now + IDLE
    with pytest.raises(InvalidRefreshToken):
        refresh(session_id=opened.session.pk, refresh_token=token, now=now + IDLE)


def test_a_chat_token_lives_no_longer_than_it_says(opened: Opened, settings: Any) -> None:
    settings.CHAT_TOKEN_SECONDS = 60
    token = tokens.issue(session=opened.session, now=NOON)
    assert enters(token, NOON + 59 * SECOND)
    assert not enters(token, NOON + 60 * SECOND)


def test_an_ended_session_is_over_at_once(opened: Opened, tenant: Tenant) -> None:
    endings.end(actor=tenant.actor, session=opened.session, now=NOON)
    assert not enters(opened.chat_token, NOON)
    endings.end(actor=tenant.actor, session=opened.session, now=NOON + SECOND)
    opened.session.refresh_from_db()
    assert opened.session.ended_at == NOON


def claims(session: ChatSession, **changed: Any) -> dict[str, Any]:
    valid = {"id": session.wire_id, "aud": tokens.AUDIENCE, "iat": NOON, "exp": NOON + timedelta(minutes=5)}
    return {name: value for name, value in {**valid, **changed}.items() if value is not None}


@pytest.mark.parametrize(
    "changed",
    [
        {"aud": "threadhub:access"},
        {"aud": None},
        {"exp": None},
        {"exp": NOON},
        {"exp": "soon"},
        {"id": None},
        {"id": 5},
        {"id": "session_1"},
        {"id": ids.encode("session", ids.new())},
    ],
)
def test_no_claim_may_be_another(opened: Opened, settings: Any, changed: dict[str, Any]) -> None:
    def token(**claimed: Any) -> str:
        return jwt.encode(claims(opened.session, **claimed), settings.SECRET_KEY, algorithm="HS256")

    assert enters(token(), NOON)
    assert not enters(token(**changed), NOON)


def test_nobody_else_signs(opened: Opened, settings: Any) -> None:
    valid = claims(opened.session)
    unsigned = jwt.encode(valid, None, algorithm="none")
    head, body, signature = opened.chat_token.split(".")
    forged = [
        unsigned,
        unsigned + signature,
        jwt.encode(valid, "another key of thirty-two bytes or so", algorithm="HS256"),
        jwt.encode(valid, settings.SECRET_KEY, algorithm="HS384"),
        f"{head}.{body}.{signature[:-2]}AA",
        f"{head}.{body}.",
        f"{head}.{body[:-4]}AAAA.{signature}",
    ]
    assert [enters(token, NOON) for token in forged] == [False] * len(forged)
