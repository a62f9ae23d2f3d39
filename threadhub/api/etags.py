"""Entity tags of what the API reads out: a client that has an answer already is told 304.

A tag is of the bytes *and* of who asks. So what was kept for one caller never counts as fresh for another, even where
both see the same; and no tag tells whether somebody else's answer is like one's own.

Where the version of what is shown is known before it is read, the tag is of that version and of the code that shows it:
who has the answer already is told so without its being read and written out.
"""

import hashlib
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path
from typing import TypeVar

from asgiref.sync import iscoroutinefunction
from django.http import HttpRequest
from django.http.response import HttpResponse, HttpResponseBase
from django.utils.cache import get_conditional_response, patch_vary_headers
from django.utils.decorators import sync_and_async_middleware

from threadhub.workspaces.actor import Actor

ASKER = "_threadhub_asker"
VERSION = "_threadhub_version"  # of an answer: its tag, where it is known from the version of what is shown
DIGEST_BYTES = 16
PIECE = 2047  # bytes: for more at once hashlib lets other threads go first, which costs more than the digest
# Whatever says who asks, or for whom.
VARY = ("Authorization", "x-api-key", "Cookie", "X-End-User", "x-impersonate-user", "x-impersonate-workspace")
CONDITIONS = ("HTTP_IF_NONE_MATCH", "HTTP_IF_MATCH", "HTTP_IF_MODIFIED_SINCE", "HTTP_IF_UNMODIFIED_SINCE")
KEPT = ("RateLimit", "RateLimit-Policy", "Content-Security-Policy", "Threadhub-Warning")

R = TypeVar("R", bound=HttpResponseBase)


def read_by(response: HttpResponseBase, actor: Actor) -> None:
    """Note on an answer whose it is."""
    setattr(response, ASKER, _asker(actor))


def of_version(actor: Actor, *parts: object) -> str:
    """The tag of an answer to `actor` that is another one wherever one of the parts is, or the code that makes it."""
    digest = hashlib.blake2b(_asker(actor).encode(), digest_size=DIGEST_BYTES, key=_code())
    digest.update(repr(parts).encode())
    return f'"{digest.hexdigest()}"'


def is_known(request: HttpRequest, tag: str) -> bool:
    """Whether the answer with this tag need not be made: its asker has it, or does not want it."""
    answer = get_conditional_response(request, etag=tag)
    return answer is not None


def tag(response: R, tag: str) -> R:
    """Give an answer its tag."""
    setattr(response, VERSION, tag)
    return response


def of_bytes(actor: Actor, content: bytes) -> str:
    """The tag that an answer to `actor` gets where it has none."""
    return _of_bytes(_asker(actor), content)


def _asker(actor: Actor) -> str:
    return f"{actor.workspace_id} {actor.identity} {actor.on_behalf_of or ''}"


@cache
def _code() -> bytes:
    """A digest of the code that answers are made by: another release may show the same otherwise."""
    api = Path(__file__).resolve().parent
    roots = (api, api.parent / "lib", api.parent.parent / "threads")
    return _digest_of(path for root in roots for path in sorted(root.rglob("*.py")))


def _digest_of(paths: Iterable[Path]) -> bytes:
    digest = hashlib.blake2b(digest_size=DIGEST_BYTES)
    for path in paths:
        digest.update(path.read_bytes())
    return digest.digest()


@sync_and_async_middleware
def EntityTags(get_response: Callable[[HttpRequest], HttpResponseBase]) -> Callable[[HttpRequest], object]:
    """Set `ETag` and `Vary` on what was read for somebody, and answer 304 where `If-None-Match` names the tag."""
    if iscoroutinefunction(get_response):

        async def async_middleware(request: HttpRequest) -> HttpResponseBase:
            return _tagged(request, await get_response(request))

        return async_middleware

    def middleware(request: HttpRequest) -> HttpResponseBase:
        return _tagged(request, get_response(request))

    return middleware


def _tagged(request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
    if getattr(response, ASKER, None) is None or request.method not in ("GET", "HEAD"):
        return response
    patch_vary_headers(response, VARY)
    return settled(request, response)


def settled(request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
    """The answer to a GET with its tag, or 304 in its place."""
    asker = getattr(response, ASKER, None)
    kept_nowhere = "no-store" in response.get("Cache-Control", "")
    if asker is None or response.status_code != 200 or not isinstance(response, HttpResponse) or kept_nowhere:
        return response
    tag = getattr(response, VERSION, None) or _of_bytes(asker, response.content)
    response.headers["ETag"] = tag
    if not any(name in request.META for name in CONDITIONS):
        return response
    answer = get_conditional_response(request, etag=tag, response=response)
    if answer is None or answer is response:
        return response
    for name in KEPT:
        if name in response:
            answer.headers[name] = response[name]
    return answer


def _of_bytes(asker: str, content: bytes) -> str:
    digest = hashlib.blake2b(asker.encode(), digest_size=DIGEST_BYTES)
    for at in range(0, len(content), PIECE):
        digest.update(content[at : at + PIECE])
    return f'"{digest.hexdigest()}"'
