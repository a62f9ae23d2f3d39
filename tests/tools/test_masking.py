"""Secrets that come back are hidden, however the bytes are cut."""

import base64
import json
from urllib.parse import quote

import pytest

from threadhub.agents.tools.masking import Mask

TOKEN = "sesame/open+4711=="


@pytest.mark.parametrize(
    ("secret", "echo"),
    [
        (TOKEN, TOKEN),
        (f"Bearer {TOKEN}", f"Bearer {TOKEN}"),
        (f"Bearer {TOKEN}", TOKEN),
        (f"Bearer {TOKEN}", f"<{TOKEN}>"),
        (TOKEN, quote(TOKEN, safe="")),
        (f"Bearer {TOKEN}", quote(TOKEN, safe="")),
        ('quo"te\\d secret', json.dumps('quo"te\\d secret')),
        (TOKEN, base64.b64encode(TOKEN.encode()).decode()),
        ("Basic " + base64.b64encode(b"me:sesame-open").decode(), "me:sesame-open"),
        ("Basic " + base64.b64encode(b"me:sesame-open").decode(), "the password is sesame-open."),
    ],
)
def test_an_echo_is_hidden_in_its_usual_spellings(secret: str, echo: str) -> None:
    mask = Mask([secret])
    hidden = mask.text(f"before {echo} after")
    assert "sesame" not in hidden
    assert "te\\" not in hidden
    assert "[hidden]" in hidden
    assert hidden.startswith("before ")
    assert hidden.endswith("after")


def test_keys_and_items_are_hidden_and_the_rest_stays() -> None:
    value = {"a": [TOKEN, 1, None, True, {TOKEN: "x"}], "b": "nothing here"}
    assert Mask([TOKEN]).value(value) == {"a": ["[hidden]", 1, None, True, {"[hidden]": "x"}], "b": "nothing here"}


def test_a_short_secret_hides_only_itself() -> None:
    mask = Mask(["abc"])
    assert mask.value(["abc", "abcdef", "x abc"]) == ["[hidden]", "abcdef", "x abc"]


def test_no_secrets_change_nothing() -> None:
    for mask in (Mask([]), Mask([""])):
        assert mask.text("text") == "text"
        stream = mask.stream()
        assert stream.feed(b"text") + stream.end() == b"text"


@pytest.mark.parametrize("size", [1, 2, 3, 5, 7, 1000])
def test_a_stream_is_hidden_however_it_is_cut(size: int) -> None:
    data = f"data: {TOKEN}\n\nses sesame/ope {TOKEN}{TOKEN} sesame/open+4711=\n\nend sesame".encode()
    stream = Mask([f"Bearer {TOKEN}"]).stream()
    out = b"".join(stream.feed(data[start : start + size]) for start in range(0, len(data), size)) + stream.end()
    assert out == b"data: [hidden]\n\nses sesame/ope [hidden][hidden] sesame/open+4711=\n\nend sesame"


def test_a_finished_line_is_not_kept_back() -> None:
    stream = Mask([TOKEN]).stream()
    assert stream.feed(b"data: {}\n\n") == b"data: {}\n\n"
    assert stream.feed(b"x ses") == b"x "
    assert stream.feed(b"ame\n\n") == b"sesame\n\n"


def test_a_mask_shows_nothing_of_itself() -> None:
    assert repr(Mask([TOKEN])) == "<Mask of 1 secrets>"
