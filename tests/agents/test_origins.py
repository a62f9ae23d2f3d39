"""Which texts are origins, as browsers spell them."""

from urllib.parse import urlsplit

import pytest
from django.core.exceptions import ValidationError
from hypothesis import given
from hypothesis import strategies as st

from threadhub.agents.origins import DEFAULT_PORTS, normal_origin, validate

LABEL = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,20}[a-z0-9])?", fullmatch=True).filter(lambda text: text[2:4] != "--")
HOST = st.lists(LABEL, min_size=1, max_size=4).map(".".join)
PORT = st.integers(1, 65535)
SCHEME = st.sampled_from(sorted(DEFAULT_PORTS))


@given(SCHEME, HOST, PORT)
def test_a_good_one_is_its_own_spelling(scheme: str, host: str, port: int) -> None:
    usual = port == DEFAULT_PORTS[scheme]
    origin = f"{scheme}://{host}" if usual else f"{scheme}://{host}:{port}"
    validate(origin)
    assert normal_origin(f"{scheme}://{host}:{port}") == origin
    assert normal_origin(f"{scheme.upper()}://{host.upper()}:{port}/") == origin


@given(st.text(max_size=60) | st.builds("{}://{}".format, SCHEME, st.text(max_size=30)))
def test_whatever_is_taken_is_scheme_host_and_port_alone(text: str) -> None:
    try:
        validate(text)
    except ValidationError:
        return
    parts = urlsplit(text)
    assert text == f"{parts.scheme}://{parts.netloc}"
    assert "*" not in text
    assert text.isascii()
    assert normal_origin(text) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "null",
        "*",
        "https://",
        "https://*",
        "https://*.example.org",
        "ftp://example.org",
        "javascript:alert(1)",
        "//example.org",
        "example.org",
        "https://example.org/",
        "https://example.org/path",
        "https://example.org?",
        "https://example.org#",
        "https://user@example.org",
        "https://user:pass@example.org",
        "https://@example.org",
        "https://example.org:",
        "https://example.org:443",
        "http://example.org:80",
        "https://example.org:0x1bb",
        "https://example.org:70000",
        "https://EXAMPLE.org",
        "https://bücher.example",
        "https://example.org\n",
        " https://example.org",
        "https://exa mple.org",
        "https://example.org\\@evil.example",
        "https://[::1",
        "https://[2001:DB8::1]",
        "https://..",
    ],
)
def test_it_refuses(text: str) -> None:
    with pytest.raises(ValidationError):
        validate(text)


@pytest.mark.parametrize(
    "text",
    [
        "https://example.org",
        "http://localhost:3000",
        "https://xn--bcher-kva.example",
        "http://[::1]:8080",
        "http://10.0.0.1",
    ],
)
def test_it_takes(text: str) -> None:
    validate(text)
