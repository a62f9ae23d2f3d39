"""How a body comes in: at once, in pieces, in very many, or not at all."""

from collections.abc import Callable
from io import BytesIO
from typing import Any

import pytest
from django.core.exceptions import RequestAborted

from threadhub.handler import PIECES, SHORT_BODY, Handler, has_body


def piece(body: bytes, more: bool = True) -> dict[str, Any]:
    return {"type": "http.request", "body": body, "more_body": more}


def sender(*messages: dict[str, Any]) -> Callable[[], Any]:
    left = iter(messages)

    async def receive() -> dict[str, Any]:
        return next(left)

    return receive


@pytest.mark.anyio
@pytest.mark.parametrize(
    "pieces",
    [
        [b""],
        [b"whole"],
        [b"in ", b"pieces", b""],
        [b"x"] * (PIECES + 5),
        [b"x" * (SHORT_BODY + 1), b"y", b""],
        [b"x" * SHORT_BODY, b"y" * SHORT_BODY],
        [b""] * (PIECES * 2),
    ],
    ids=lambda pieces: f"{len(pieces)} of {len(pieces[0])}",
)
async def test_a_body_is_what_was_sent(pieces: list[bytes]) -> None:
    *before, last = pieces
    body = await Handler().read_body(sender(*map(piece, before), piece(last, more=False)))
    is_short = len(pieces) <= PIECES and len(b"".join(before)) <= SHORT_BODY
    with body:
        assert body.read() == b"".join(pieces)
        assert isinstance(body, BytesIO) is is_short


@pytest.mark.anyio
@pytest.mark.parametrize("before", [0, 1, PIECES + 1])
async def test_who_goes_meanwhile_has_asked_nothing(before: int) -> None:
    with pytest.raises(RequestAborted):
        await Handler().read_body(sender(*[piece(b"x")] * before, {"type": "http.disconnect"}))


@pytest.mark.parametrize(
    ("version", "headers", "expected"),
    [
        ("1.1", [], False),
        ("1.0", [(b"host", b"x")], False),
        ("1.1", [(b"content-length", b"0")], True),
        ("1.1", [(b"transfer-encoding", b"chunked")], True),
        ("2", [], True),
    ],
)
def test_what_the_head_says_of_a_body(version: str, headers: list[tuple[bytes, bytes]], expected: bool) -> None:
    assert has_body({"http_version": version, "headers": headers}) is expected
