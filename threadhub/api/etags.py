"""Entity tags of what the API reads out: a client that has an answer already is told 304.

A tag is of the bytes *and* of who asks. So what was kept for one caller never counts as fresh for another, even where
both see the same; and no tag tells whether somebody else's answer is like one's own.
"""

import hashlib
from collections.abc import Callable

from asgiref.sync import iscoroutinefunction
from django.http import HttpRequest
from django.http.response import HttpResponse, HttpResponseBase
from django.utils.cache import get_conditional_response, patch_vary_headers
from django.utils.decorators import sync_and_async_middleware

from threadhub.workspaces.actor import Actor

ASKER = "_threadhub_asker"
DIGEST_BYTES = 16
# Whatever says who asks, or for whom.
VARY = ("Authorization", "x-api-key", "Cookie", "X-End-User", "x-impersonate-user", "x-impersonate-workspace")
KEPT = ("RateLimit", "RateLimit-Policy", "Content-Security-Policy", "Threadhub-Warning")


def read_by(response: HttpResponseBase, actor: Actor) -> None:
    """Note on an answer whose it is."""
    setattr(response, ASKER, f"{actor.workspace_id} {actor.identity} {actor.on_behalf_of or ''}")


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
    asker = getattr(response, ASKER, None)
    if asker is None or request.method not in ("GET", "HEAD"):
        return response
    patch_vary_headers(response, VARY)
    kept_nowhere = "no-store" in response.get("Cache-Control", "")
    if response.status_code != 200 or not isinstance(response, HttpResponse) or kept_nowhere:
        return response
    digest = hashlib.blake2b(asker.encode(), digest_size=DIGEST_BYTES)
    digest.update(response.content)
    tag = f'"{digest.hexdigest()}"'
    response.headers["ETag"] = tag
    answer = get_conditional_response(request, etag=tag, response=response)
    if answer is None or answer is response:
        return response
    for name in KEPT:
        if name in response:
            answer.headers[name] = response[name]
    return answer
