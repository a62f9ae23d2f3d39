"""Pages of threads as they were answered a moment ago: while a page's version is the same (`thread_rows.Version`) its
threads are neither read nor written out again. That a reference of an end user stays theirs is taken for granted."""

from datetime import datetime
from typing import Any, NamedTuple

from django.http import HttpResponse
from rest_framework.request import Request

from threadhub.api import etags
from threadhub.api.renderers import JSON, as_json
from threadhub.lib.remembered import SHORT, Remembered
from threadhub.workspaces.actor import Actor
from threads.thread_rows import Version

BYTES = 8 * 2**20
ENTRY = 1024  # bytes that a page takes besides its text, roughly


class _Asked(NamedTuple):
    """By whom, of which list, and with what parameters."""

    actor: Actor
    url: str
    query: str


class _Kept(NamedTuple):
    """The same in [since, until), and while the version is. `is_steady`: it was the same when it was last asked for, so
    that to ask for it first is likely to save reading the page."""

    version: Version
    since: datetime
    until: datetime | None
    is_steady: bool
    body: bytes
    tag: str


_kept: Remembered[_Asked, _Kept] = Remembered(BYTES, lambda kept: len(kept.body) + len(kept.version.threads) + ENTRY)


def find(request: Request, actor: Actor, *, now: datetime) -> HttpResponse | None:
    """The answer, where it is known to be the same still."""
    asked = _asked(request, actor)
    kept = _kept.get(asked) if asked is not None else None
    if kept is None or not kept.is_steady or not (kept.since <= now and (kept.until is None or now < kept.until)):
        return None
    if not kept.version.is_newest(now):
        return None
    return etags.tag(HttpResponse(kept.body, content_type=JSON), kept.tag)


def answer(
    request: Request, actor: Actor, body: dict[str, Any], version: Version, *, now: datetime, until: datetime | None
) -> HttpResponse:
    """The page as it is answered, which is the same until then while its version is."""
    response = as_json(body)
    asked = _asked(request, actor)
    if asked is None:
        return response
    before = _kept.get(asked)
    is_steady = before is None or before.version == version
    tag = etags.of_bytes(actor, response.content)
    _kept.put(asked, _Kept(version, now, until, is_steady, response.content, tag))
    return etags.tag(response, tag)


def _asked(request: Request, actor: Actor) -> _Asked | None:
    query = request.META["QUERY_STRING"]
    return None if len(query) > SHORT else _Asked(actor, request.build_absolute_uri(request.path), query)
