"""Refresh tokens: spent by their use, known again when a copy comes back."""

from datetime import datetime

import pytest

from chat_sessions import tokens
from chat_sessions.refresh import REUSE_GRACE, refresh, successor
from chat_sessions.sessions import REFRESH_PREFIX, InvalidRefreshToken, Opened
from chat_sessions.tokens import InvalidChatToken
from tests.chat_sessions.conftest import NOON, SECOND
from threadhub.lib import secrets


def renew(opened: Opened, token: str, now: datetime) -> Opened:
    return refresh(session_id=opened.session.pk, refresh_token=token, now=now)


def lives(opened: Opened, now: datetime) -> bool:
    try:
        tokens.authenticate(chat_token=opened.chat_token, now=now)
    except InvalidChatToken:
        return False
    return True


def test_each_use_gives_another_token(opened: Opened) -> None:
    seen, token = {opened.refresh_token}, opened.refresh_token
    for step in range(1, 5):
        token = renew(opened, token, NOON + step * SECOND).refresh_token
        assert secrets.looks_whole(REFRESH_PREFIX, token)
        assert token not in seen
        seen.add(token)


def test_two_at_once_and_a_lost_answer_are_given_the_same_token(opened: Opened) -> None:
    first = renew(opened, opened.refresh_token, NOON)
    again = renew(opened, opened.refresh_token, NOON + REUSE_GRACE)
    assert again.refresh_token == first.refresh_token
    assert lives(again, NOON + REUSE_GRACE)
    assert renew(opened, first.refresh_token, NOON + 2 * REUSE_GRACE)


def test_a_token_that_comes_back_later_ends_the_session(opened: Opened) -> None:
    first = renew(opened, opened.refresh_token, NOON)
    late = NOON + REUSE_GRACE + SECOND
    assert lives(first, late)
    with pytest.raises(InvalidRefreshToken):
        renew(opened, opened.refresh_token, late)
    opened.session.refresh_from_db()
    assert (opened.session.ended_at, opened.session.end_reason) == (late, "refresh_reused")
    assert not lives(first, late)
    assert not lives(opened, late)
    with pytest.raises(InvalidRefreshToken):
        renew(opened, first.refresh_token, late)


@pytest.mark.parametrize("refreshes", [2, 3, 30])
def test_a_token_of_long_ago_ends_it_too_even_at_once(opened: Opened, refreshes: int) -> None:
    token = opened.refresh_token
    for _ in range(refreshes):
        token = renew(opened, token, NOON).refresh_token
    with pytest.raises(InvalidRefreshToken):
        renew(opened, opened.refresh_token, NOON)
    opened.session.refresh_from_db()
    assert opened.session.end_reason == "refresh_reused"


def test_nonsense_ends_nothing(opened: Opened) -> None:
    first = renew(opened, opened.refresh_token, NOON)
    late = NOON + 2 * REUSE_GRACE
    guesses = [
        "",
        "x",
        secrets.new_token(REFRESH_PREFIX),
        first.refresh_token[:-1],
        opened.refresh_token + "a",
        successor(successor(first.refresh_token)),
        first.chat_token,
    ]
    for guess in guesses:
        with pytest.raises(InvalidRefreshToken):
            renew(opened, guess, late)
    assert lives(first, late)


def test_it_is_the_session_that_is_named_or_none(opened: Opened) -> None:
    with pytest.raises(InvalidRefreshToken):
        refresh(session_id=opened.session.agent_id, refresh_token=opened.refresh_token, now=NOON)
