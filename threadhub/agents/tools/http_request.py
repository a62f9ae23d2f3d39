"""From a model's arguments to one web request: placeholders of the address, then the query or a JSON body."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, quote, urlencode

from threadhub.agents.tools.errors import ToolArgumentsInvalid
from threadhub.lib import json
from threadhub.lib.errors import Invalid

if TYPE_CHECKING:
    import httpx2

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
MAX_BODY_BYTES = 1024 * 1024
PLACEHOLDER = re.compile(r"\{([A-Za-z_][A-Za-z0-9_.-]{0,63})\}")
HEADER_NAME = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]{1,128}")  # RFC 9110, "token"
HEADER_VALUE = re.compile(r"[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?")
# What the connection, the body or the call itself decides.
RESERVED_HEADERS = frozenset(
    {
        *("accept-encoding", "connection", "content-encoding", "content-length", "content-type", "expect", "host"),
        *("idempotency-key", "keep-alive", "proxy-authorization", "proxy-connection", "te", "trailer"),
        *("transfer-encoding", "upgrade"),
    }
)
OUR_HEADERS = {
    "Accept": "application/json, text/*;q=0.9, */*;q=0.1",
    "Accept-Encoding": "identity",
    "User-Agent": "threadhub",
}
SAFE_CALL_ID = re.compile(r"[\x21-\x7e]{1,200}")


def check_template(url: str) -> None:
    """Refuse an address that cannot be called as it stands, or whose host a model could choose. Raises Invalid."""
    import httpx2

    scheme, separator, rest = url.partition("://")
    if scheme.lower() not in ("http", "https") or not separator:
        raise Invalid.at("url", msg="The address must begin with http:// or https://.")
    authority = re.split(r"[/?#\\]", rest, maxsplit=1)[0]
    if not authority or "{" in authority or "@" in authority:
        raise Invalid.at("url", msg="The host must be written out, without credentials or placeholders.")
    if "#" in url:
        raise Invalid.at("url", msg="The address must not have a fragment.")
    if re.search(r"[{}]", PLACEHOLDER.sub("", url)):
        raise Invalid.at("url", msg="A placeholder is a name in braces: {city}.")
    try:
        httpx2.URL(PLACEHOLDER.sub("x", url))
    except (httpx2.InvalidURL, ValueError) as error:
        raise Invalid.at("url", msg="The address is not valid.") from error


def check_headers(headers: Mapping[str, str], field: str) -> None:
    """Refuse headers that cannot be sent or that are not the tool's to set. Raises Invalid, without the value."""
    for name, value in headers.items():
        if not HEADER_NAME.fullmatch(name) or name.lower() in RESERVED_HEADERS:
            raise Invalid.at(field, name[:128], msg="This header cannot be set.")
        if not HEADER_VALUE.fullmatch(value):
            raise Invalid.at(field, name, msg="A header's value is visible ASCII text, without line breaks.")


def build(*, url: str, method: str, headers: Mapping[str, str], arguments: Mapping[str, Any]) -> httpx2.Request:
    """The request; `headers` come on top of our own. Raises ToolArgumentsInvalid."""
    import httpx2

    try:
        address, rest = fill(url, arguments)
        content = None
        if method == "GET":
            address = with_query(address, rest)
        elif rest or method != "DELETE":
            content = json.dumps(rest)
    except (TypeError, UnicodeError, RecursionError) as error:  # what JSON or UTF-8 cannot hold
        raise ToolArgumentsInvalid from error
    if content is not None and len(content) > MAX_BODY_BYTES:
        raise ToolArgumentsInvalid("The arguments are too large.")
    ours = httpx2.Headers(OUR_HEADERS)
    if content is not None:
        ours["Content-Type"] = "application/json"
    ours.update(headers)
    try:
        return httpx2.Request(method, httpx2.URL(address), headers=ours, content=content)
    except (httpx2.InvalidURL, ValueError) as error:
        raise ToolArgumentsInvalid("The arguments make no valid address.") from error


def fill(url: str, arguments: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """The address with its placeholders filled, and the arguments that none of them took."""
    path_end = url.find("?") if "?" in url else len(url)
    taken: set[str] = set()

    def value(match: re.Match[str]) -> str:
        name = match[1]
        if name not in arguments:
            raise ToolArgumentsInvalid(f"The argument {name} is missing.")
        taken.add(name)
        text = _text(arguments[name])
        if text is None:
            raise ToolArgumentsInvalid(f"The argument {name} must be text, a number, true or false.")
        if match.start() < path_end:
            _check_path_value(name, text)
        return quote(text, safe="")

    filled = PLACEHOLDER.sub(value, url)
    return filled, {name: item for name, item in arguments.items() if name not in taken}


def with_query(url: str, arguments: Mapping[str, Any]) -> str:
    """The address with the arguments in its query: lists repeat their name, objects are JSON, null is left out.

    A name that the address itself sets cannot be set again: many services would take the last one.
    """
    base, _, query = url.partition("?")
    fixed = {name for name, _ in parse_qsl(query, keep_blank_values=True)}
    if clash := sorted(fixed & arguments.keys()):
        raise ToolArgumentsInvalid(f"The argument {clash[0]} cannot be set.")
    pairs = [
        (name, text)
        for name, value in arguments.items()
        for item in (value if isinstance(value, list) else [value])
        if item is not None
        for text in [_text(item) if _text(item) is not None else json.dumps(item).decode()]
    ]
    return (
        base
        + "?" * bool(query or pairs)
        + "&".join(part for part in (query, urlencode(pairs, quote_via=quote)) if part)
    )


def idempotency_key(call_id: str) -> str:
    """The call's id as a header's value; one that cannot stand in a header is replaced by its digest."""
    if SAFE_CALL_ID.fullmatch(call_id):
        return call_id
    return hashlib.sha256(call_id.encode("utf-8", "surrogatepass")).hexdigest()


def _text(value: Any) -> str | None:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return value
    return json.dumps(value).decode() if isinstance(value, int | float) else None


def _check_path_value(name: str, text: str) -> None:
    """What a placeholder of the path takes: nothing that could lead to another path, also once decoded.

    No part of it is `.` or `..`, so it makes none together with what stands beside it either.
    """
    if not text or any(ord(character) < 32 for character in text):
        raise ToolArgumentsInvalid(f"The argument {name} must not be empty or hold control characters.")
    if any(_is_dots(part) for part in re.split(r"[/\\]", text)):
        raise ToolArgumentsInvalid(f"The argument {name} must not be a relative path.")


def _is_dots(segment: str) -> bool:
    return segment.lower().replace("%2e", ".") in (".", "..")
