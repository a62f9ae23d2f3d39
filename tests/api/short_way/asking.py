"""Asking by the whole way and by the short one, and what both say alike."""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from typing import Any
from urllib.parse import unquote

import pytest

from tests.conftest import Tenant
from threadhub import handler as handlers
from threadhub import short_way
from threadhub.lib import remembered
from threadhub.short_way import Plain
from threadhub.workspaces import known_keys

# What is another one with each answer: how many requests are left, and what was made just now.
MADE = re.compile(
    rb"(?<=[_\"])[0-9a-hjkmnp-tv-z]{26}|\d{4}-\d\d-\d\dT[\d:.]+Z|\"position\":\d+|[0-9a-f]{8}-[0-9a-f-]{27}"
)


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes
    short: Any  # what the short way came to: Plain, GoneWrong or None

    def comparable(self) -> tuple[int, dict[str, str], bytes]:
        headers = {name: value for name, value in self.headers.items() if name not in ("ratelimit", "location", "etag")}
        headers |= {name: "" for name in ("location", "etag") if name in self.headers}
        return self.status, headers, MADE.sub(b"", self.body)


class Asking:
    """A client of the handler that a web process has, without the process."""

    def __init__(self, tenant: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
        self.key = tenant.key
        self.handler = handlers.Handler()
        self.ways: list[Any] = []
        whole = short_way.answer

        def noted(*arguments: Any) -> Any:
            self.ways.append(whole(*arguments))
            return self.ways[-1]

        monkeypatch.setattr(short_way, "answer", noted)
        monkeypatch.setattr(handlers, "close_old_connections", lambda: None)  # it is the test's

    def __call__(self, method: str, target: str, body: Any = None, peer: str = "127.0.0.1", **headers: str) -> Answer:
        path, _, query = target.partition("?")
        sent = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        told = {"host": "testserver", "authorization": f"Bearer {self.key}"}
        told |= {"content-type": "application/json", "content-length": str(len(sent))} if sent else {}
        told |= {name.replace("_", "-"): value for name, value in headers.items()}
        scope = {
            "type": "http",
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "root_path": "",
            "path": unquote(path),
            "query_string": query.encode(),
            "client": (peer, 4711),
            "server": ("127.0.0.1", 80),
            "headers": [(name.lower().encode(), value.encode()) for name, value in told.items() if value],
        }
        self.ways.clear()
        called = handlers._in_own_context(self.handler._respond, scope, BytesIO(sent), handlers.resolved(scope["path"]))
        answer: Any = called()
        way = self.ways[-1] if self.ways else None
        if isinstance(answer, Plain):
            return Answer(
                answer.status, {name.decode(): value.decode() for name, value in answer.headers}, answer.body, way
            )
        told = {name.lower(): value for name, value in answer.headers.items()}
        return Answer(answer.status_code, told, answer.content, way)


def both(asking: Asking, learned_from: Callable[[], Answer], ask: Callable[[], Answer]) -> tuple[Answer, Answer]:
    """The answer by the whole way, and that by the short one, once a like request was answered."""
    remembered.forget()
    known_keys.forget()
    whole = ask()
    assert whole.short is None
    remembered.forget()
    learned_from()
    short = ask()
    return whole, short
