"""What the short way leaves to the whole one, and what goes wrong on it."""

import asyncio
import gc
import json
import logging
from typing import Any
from weakref import ref

import pytest
import structlog
from django.db import OperationalError
from django.urls import get_resolver

from tests.api.short_way.asking import Asking, both
from tests.api.test_stacks import _views
from tests.conftest import Tenant
from threadhub import request_log, short_way
from threadhub.api.rest.views.threads import Threads
from threadhub.lib import notices
from threadhub.short_way import GoneWrong, Plain
from threadhub.workspaces import known_keys
from threads.models import Thread


def test_a_database_that_is_away_is_said_so(
    asking: Asking, thread: Thread, monkeypatch: pytest.MonkeyPatch, django_assert_num_queries: Any
) -> None:
    """At once: who asks is not looked up again."""
    asking("GET", "/threads")
    whole = Threads.list

    def away(view: Any, request: Any) -> None:
        known_keys.forget()
        raise OperationalError("away")

    monkeypatch.setattr(Threads, "list", away)
    with django_assert_num_queries(0):
        answer = asking("GET", "/threads")
    assert isinstance(answer.short, GoneWrong)
    assert (answer.status, answer.headers["retry-after"]) == (503, "2")
    monkeypatch.setattr(Threads, "list", whole)
    assert asking("GET", "/threads").status == 200


def test_an_error_has_the_remarks_and_the_id_of_its_request(
    asking: Asking, thread: Thread, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []

    def remarking(view: Any, request: Any) -> None:
        notices.add("mind this")
        seen.append(structlog.contextvars.get_contextvars()["request_id"])
        raise LookupError

    asking("GET", "/threads")
    monkeypatch.setattr(Threads, "list", remarking)
    answer = asking("GET", "/threads")
    assert isinstance(answer.short, GoneWrong)
    assert answer.headers["threadhub-warning"] == "mind this"
    assert [json.loads(answer.body)["request_id"]] == seen


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://example.org"},
        {"cookie": "a=b"},
        {"if_modified_since": "Fri, 27 Nov 2026 00:00:00 GMT"},
        {"x": "y" * 70_000},
    ],
    ids=lambda headers: next(iter(headers)),
)
def test_what_is_uncommon_takes_the_whole_way(asking: Asking, thread: Thread, headers: dict[str, str]) -> None:
    first = asking("GET", "/threads", **headers)
    second = asking("GET", "/threads", **headers)
    assert second.short is None
    assert second.comparable() == first.comparable()


def test_a_longer_address_is_refused(asking: Asking, thread: Thread) -> None:
    asking("GET", "/threads")
    assert asking("GET", f"/threads?title={'x' * 40_000}").status == 414


def test_where_requests_are_logged_they_take_the_whole_way(
    asking: Asking, thread: Thread, caplog: pytest.LogCaptureFixture
) -> None:
    asking("GET", "/threads")
    caplog.set_level(logging.INFO, logger=request_log.logger.name)
    assert asking("GET", "/threads").short is None


def test_a_remark_is_sent_along(asking: Asking, thread: Thread, monkeypatch: pytest.MonkeyPatch) -> None:
    listed = Threads.list

    def remarking(view: Any, request: Any) -> Any:
        notices.add("mind this")
        return listed(view, request)

    monkeypatch.setattr(Threads, "list", remarking)
    whole, short = both(asking, lambda: asking("GET", "/threads"), lambda: asking("GET", "/threads"))
    assert isinstance(short.short, Plain)
    assert short.headers["threadhub-warning"] == "mind this"
    assert short.comparable() == whole.comparable()


def test_what_cannot_be_learned_from_is_answered(
    asking: Asking, tenant: Tenant, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(short_way, "learn", None)  # which cannot be called
    assert asking("POST", f"/agents/{tenant.agent.wire_id}/threads", {}).status == 200
    assert "nothing was learned" in caplog.text


def test_an_error_holds_no_request(asking: Asking, thread: Thread, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its body may be large, and garbage is seldom looked for."""
    held: list[Any] = []

    class Noted(short_way.Asked):
        def __init__(self, *arguments: Any) -> None:
            super().__init__(*arguments)
            held.append(ref(self))

    monkeypatch.setattr(short_way, "Asked", Noted)
    path = f"/threads/{thread.wire_id}/messages"
    asking("POST", path, {"role": "user", "content": "x"})
    gc.disable()
    try:
        answer = asking("POST", path, {"role": "nobody", "content": "x"})
        assert isinstance(answer.short, GoneWrong)
        assert answer.short.error is None
        asking("POST", path, {"role": "user", "content": "x"})
        assert [each() for each in held] == [None, None]
    finally:
        gc.enable()


def test_it_leads_to_handlers_that_are_there() -> None:
    leads = [view for _, view in _views(get_resolver()) if getattr(getattr(view, "cls", None), "short_way", None)]
    assert leads
    assert not [view for view in leads if asyncio.iscoroutinefunction(view)]
    reached = {(view.cls, action) for view in leads for action in view.actions.values() if action in view.cls.short_way}
    assert reached == {(view.cls, action) for view in leads for action in view.cls.short_way}
