"""Requests that no client of good will sends: seeded, so that a failure can be had again."""

import random
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from tests.trust import bodies, samples
from tests.trust.operations import Operation, operations
from threadhub.lib import json

ODD_TEXTS = (
    "",
    " ",
    "\x00",
    "a\x00b",
    "\ud800",
    "\udfff\ud800",
    "￿",
    "\u202e\u2066",
    "ﷺ" * 50,
    "Z͑ͫ̓ͪ̂ͫ̽͏̴̙̤̞͉͚̯̞̠͍A",
    "🏴󠁧󠁢󠁥󠁮󠁧󠁿" * 20,
    "'; DROP TABLE threads_thread; --",
    "1 OR 1=1",
    "${7*7}{{7*7}}",
    "../../../../etc/passwd",
    "<script>alert(1)</script>",
    "%00",
    "%",
    "%zz",
    "\r\nX-Injected: 1",
    "null",
    "undefined",
    "NaN",
    "true",
    "-1",
    "9" * 400,
    "1e400",
    "0x10",
    "１２",
    "a" * 5_000,
    "thread_" + "7" * 26,
    "thread_" + "8" * 26,
    "THREAD_01K0000000000000000000000A",
    "*",
    "\\",
    '"',
    "\t",
)
ODD_VALUES: tuple[Any, ...] = (
    None,
    True,
    False,
    0,
    -1,
    1,
    2**31,
    2**53,
    2**63 - 1,
    -(2**63),
    2**64 - 1,
    0.1,
    -0.0,
    1e308,
    [],
    {},
    [[]],
    [{}],
    [None],
    {"": ""},
    {"a": {"b": {"c": []}}},
    ["a"] * 500,
    {"$gt": ""},
    {"__proto__": {"admin": True}},
)
# As they are: what is not JSON, or is only nearly.
RAW = (
    b"",
    b" ",
    b"{",
    b"}",
    b"[]",
    b'"text"',
    b"null",
    b"0",
    b"{}{}",
    b'{"a":1,"a":2}',
    b'{"a":NaN}',
    b'{"a":Infinity}',
    b'{"a":-Infinity}',
    b'{"a":1e999}',
    b'{"a":' + b"9" * 5_000 + b"}",
    b'{"a":18446744073709551616}',
    b"\xff\xfe{}\x00",
    b'{"a":"\xff"}',
    b'{"a":"\\u0000"}',
    b'{"a":"\\ud800"}',
    b"[" * 5_000,
    b'{"a":' * 500 + b"1" + b"}" * 500,
    b"{'a':1}",
    b'{"a":1,}',
    b"\xef\xbb\xbf{}",
    b"a=1&b=2",
    b"<a/>",
    b"--x\r\n\r\n",
    b'{"\\u0000":1}',
    b'{"title":"\\udc00x"}',
    b"\x00",
    b'{"metadata":' + b'{"a":' * 62 + b"1" + b"}" * 62 + b"}",
    b'{"title":"' + b"x" * 100_000 + b'"}',
)
CONTENT_TYPES = (
    "application/json",
    "application/json; charset=utf-8",
    "application/json; charset=utf-16",
    "text/plain",
    "text/html",
    "application/x-www-form-urlencoded",
    "multipart/form-data",
    "multipart/form-data; boundary=x",
    "application/xml",
    "*/*",
    "",
    ";",
    "application/json;charset=",
    "application/json; charset=\x7f",
    "a" * 300,
    "application/octet-stream",
)
HEADERS: dict[str, tuple[str, ...]] = {
    "Accept": ("text/event-stream", "*/*;q=nan", "application/xml", ";", "a" * 3_000, "text/html"),
    "Accept-Language": ("xx-" * 200, "*", "en;q=5"),
    "Authorization": (
        "",
        "Bearer",
        "Bearer ",
        "Basic eDp5",
        "Bearer a.b.c",
        "Bearer th_",
        "Bearer " + "x" * 4_000,
        "Bearer é",
    ),
    "Cookie": ("qlt_threadhub=x", "sessionid=" + "a" * 300, ";;;=", "qlt_threadhub=a.b.c"),
    "Content-Length": ("0", "5"),
    "Host": ("evil.example", "", "[::1", "testserver:99999", "a b"),
    "Idempotency-Key": ("", "a" * 256, "a" * 255, "é", "\t", "key"),
    "If-None-Match": ("*", '"', 'W/"x"', "a" * 2_000),
    "Last-Event-ID": ("-1", "9" * 50, "x", "１"),
    "Origin": ("null", "http://", "https://evil.example", "file://", "http://[::1"),
    "Range": ("bytes=0-0", "bytes=-1", "bytes=9-1", "lines=1", "bytes=" + "0-1," * 500),
    "X-Forwarded-For": ("::1, 1.2.3.4", "unknown", "a" * 500, "127.0.0.1:99999"),
    "X-Forwarded-Host": ("evil.example", ""),
    "X-Api-Key": ("", "th_x", "é", "a" * 4_000),
    "X-Request-Id": ("\x7f", "a" * 5_000, "<script>"),
    "X-Bypass-Admin": ("true", "1", "x"),
}
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "TRACE", "PROPFIND", "get", "A" * 60)
PATHS = (
    "/",
    "//",
    "/threads/",
    "/threads//messages",
    "/threads/%00",
    "/threads/%ff%fe",
    "/threads/%ed%a0%80",
    "/api",
    "/api/",
    "/api/v1",
    "/api/v1/ai/threads/",
    "/%2e%2e/%2e%2e/etc/passwd",
    "/threads/..%2f..%2fetc",
    "/openapi.json/x",
    "/docs/x",
    "/health/x",
    "/" + "a" * 4_000,
    "/threads/" + "a/" * 300,
    "/threads;x=1",
    "/threads%3fx",
    "/agents/x/threads/by-ref/",
    "/agents/x/threads/by-ref/%0a%0d",
    "/static/../manage.py",
    "/favicon.ico",
    "/.env",
    "/threads/\\..\\x",
    "/api/ai/%00/chat",
)


@dataclass(frozen=True)
class Bad:
    """One request; `path` is as it goes over the wire."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


class Maker:
    """Makes bad requests out of good ones. `named`: noun → the wire name of something that is there."""

    def __init__(self, seed: int, named: dict[str, str]) -> None:
        self.random = random.Random(seed)
        self.named = named
        self.known = operations()

    def make(self) -> Bad:
        """A good request with one to three things wrong with it."""
        chance = self.random
        operation = chance.choice(self.known)
        method, path, query = operation.method, self._path(operation), self._query(operation)
        headers = {"Content-Type": "application/json"}
        body = json.dumps(bodies.body_of(operation) or {})
        for _ in range(chance.randint(1, 3)):
            match chance.randrange(9):
                case 0:
                    path = chance.choice(PATHS)
                case 1:
                    method = chance.choice(METHODS)
                case 2 | 3:
                    query += f"&{self._text()}={self._text()}" if chance.random() < 0.3 else self._odd_query(operation)
                case 4:
                    name = chance.choice(list(HEADERS))
                    headers[name] = chance.choice(HEADERS[name])
                case 5:
                    headers["Content-Type"] = chance.choice(CONTENT_TYPES)
                case 6:
                    body = chance.choice(RAW)
                case _:
                    body = self._odd_body(operation)
        return Bad(method, f"{path}?{query}" if query else path, headers, body)

    def _path(self, operation: Operation) -> str:
        """The path with things that are there, or with nonsense."""
        filled = operation.path
        for name, noun in samples.in_path(operation).items():
            good = self.random.random() < 0.8
            filled = filled.replace(f"{{{name}}}", quote(self.named[noun], safe="") if good else self._text())
        return filled

    def _query(self, operation: Operation) -> str:
        return self._odd_query(operation) if operation.query and self.random.random() < 0.3 else ""

    def _odd_query(self, operation: Operation) -> str:
        names = operation.query or ("x",)
        return "".join(f"&{self.random.choice(names)}={self._text()}" for _ in range(self.random.randint(1, 3)))

    def _text(self) -> str:
        """Odd text as it can stand in an address: percent-encoded, surrogates too."""
        return quote(self.random.choice(ODD_TEXTS).encode("utf-8", "surrogatepass"), safe="")

    def _odd_body(self, operation: Operation) -> bytes:
        """The good body with one value, or the whole of it, of another kind."""
        chance = self.random
        body = dict(bodies.body_of(operation) or {})
        for _ in range(chance.randint(1, 3)):
            name = chance.choice([*bodies.properties(operation), "unknown"])
            body[name] = chance.choice(ODD_VALUES) if chance.random() < 0.6 else chance.choice(ODD_TEXTS)
        if chance.random() < 0.1:
            return json.dumps(chance.choice(ODD_VALUES))
        return _dumps(body)


def _dumps(body: dict[str, Any]) -> bytes:
    """JSON with whatever is in it; lone surrogates as escapes."""
    import json as standard

    return standard.dumps(body).encode()
