"""What no client library sends, over a socket to a live server: every answer is an error of its dialect, small, and
tells nothing of the inside. What the web server answers by itself (an unreadable head) has no body at all."""

import json
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.faults import site

pytestmark = pytest.mark.django_db(transaction=True)
LARGEST = 4096
TELLING = ("Traceback", "psycopg", "SELECT ", "site-packages", "/threadhub/", "django")
BODY = b'{"a": 1}'


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes


def ask(port: int, request: bytes) -> Answer:
    """One request as it stands; the whole answer."""
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        connection.sendall(request)
        connection.shutdown(socket.SHUT_WR) if b"Connection: close" not in request else None
        received = b""
        while chunk := connection.recv(65536):
            received += chunk
    head, _, body = received.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    return Answer(int(first.split()[1]), headers, body)


def request(line: str, *headers: str, body: bytes = b"", host: str = "127.0.0.1") -> bytes:
    head = [f"{line} HTTP/1.1", f"Host: {host}", "Connection: close", *headers]
    if body:
        head.append(f"Content-Length: {len(body)}")
    return "\r\n".join(head).encode("latin-1") + b"\r\n\r\n" + body


@pytest.fixture(scope="module")
def logs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("raw")


@pytest.fixture
def port(logs: Path, transactional_db: None) -> Iterator[int]:
    with site.webs(logs, 1, RATE_LIMIT_ADDRESS="0") as (web,):
        yield web.port


CASES = {
    "unknown address": (request("GET {}/nothing/here"), 404),
    "bad escape": (request("GET {}/threads/%zz"), None),
    "bytes that are no UTF-8": (request("GET {}/threads/%ff%fe"), None),
    "NUL in the address": (request("GET {}/threads/%00"), None),
    "NUL in the query": (request("GET {}/threads?a=%00"), None),
    "long address": (request("GET {}/" + "a" * 9000), 414),
    "long query": (request("GET {}/threads?a=" + "a" * 40_000), 414),
    "foreign host": (request("GET {}/threads", host="evil.example"), 400),
    "nonsense host": (request("GET {}/threads", host="a b<>"), 400),
    "unknown method": (request("BREW {}/threads"), None),
    "wrong method": (request("DELETE {}/threads"), None),
    "gzip": (request("POST {}/threads", "Content-Encoding: gzip", body=BODY), 415),
    "headers too large": (request("GET {}/threads", *(f"X-{n}: {'a' * 4000}" for n in range(20))), 431),
    "body too large": (request("POST {}/threads", "Content-Length: 99999999999"), None),
    "form": (request("POST {}/threads", "Content-Type: multipart/form-data; boundary=x", body=b"--x--"), None),
    "odd charset": (request("POST {}/threads", "Content-Type: application/json; charset=utf-7", body=BODY), None),
    "odd accept": (request("GET {}/threads", "Accept: nonsense/;;;q=x"), 401),
    "odd authorization": (request("GET {}/threads", "Authorization: Bearer \xff\xfe"), 401),
}
BY_THE_SERVER = {
    "a length that is none": request("POST /threads", "Content-Length: ten"),
    "a negative length": request("POST /threads", "Content-Length: -1"),
    "two lengths": request("POST /threads", "Content-Length: 3", "Content-Length: 4"),
    "no version": b"GET /threads\r\n\r\n",
    "another protocol": b"HELO example\r\n\r\n",
    "a header without a name": b"GET /threads HTTP/1.1\r\nHost: x\r\n: y\r\n\r\n",
}


def test_every_refusal_is_an_error_of_its_dialect(port: int) -> None:
    for root, kind in (("", "application/problem+json"), ("/api/ai", "application/json")):
        for name, (sent, status) in CASES.items():
            answer = ask(port, sent.replace(b"{}", root.encode(), 1))
            where = f"{name} under {root or '/'}: {answer}"
            assert 400 <= answer.status < 500, where
            assert status in (None, answer.status), where
            assert answer.headers.get("content-type") == kind, where
            assert json.loads(answer.body)["code"], where
            assert_tells_nothing(answer, where)


def test_a_head_that_cannot_be_read_is_the_servers_to_answer(port: int) -> None:
    for name, sent in BY_THE_SERVER.items():
        answer = ask(port, sent)
        assert 400 <= answer.status < 500, name
        assert_tells_nothing(answer, name)
    assert ask(port, request("GET /health")).status == 200


def test_every_answer_is_guarded(port: int) -> None:
    for line in ("GET /health", "GET /docs", "GET /threads", "GET /api/ai/threads", "GET /admin/login/"):
        headers = ask(port, request(line)).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "same-origin"
        assert headers["cross-origin-opener-policy"] == "same-origin"
        assert "frame-ancestors 'none'" in headers["content-security-policy"]
        assert "script-src 'unsafe-inline'" not in headers["content-security-policy"]
        assert "camera=()" in headers["permissions-policy"]


def assert_tells_nothing(answer: Answer, where: str) -> None:
    assert len(answer.body) <= LARGEST, where
    assert not [word for word in TELLING if word in answer.body.decode()], where
