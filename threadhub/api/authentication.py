"""Who is asking: a bearer token or an API key, and for the `ai` dialect its sign-in cookie."""

from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.utils import timezone
from rest_framework.authentication import BaseAuthentication
from rest_framework.request import Request

from chat_sessions import tokens
from threadhub.isolation import scope
from threadhub.isolation.scope import Door
from threadhub.lib.errors import Forbidden, Unauthenticated
from threadhub.workspaces import keys, sign_in
from threadhub.workspaces.actor import Actor

COOKIE = "qlt_threadhub"  # the `ai` dialect's clients know theirs by `qlt_`


class CrossOrigin(Forbidden):
    """A sign-in cookie is only taken from our own origin or an allowed one."""

    code = "cross_origin"


class TokenAuthentication(BaseAuthentication):
    """Sets `request.user` to the Actor and `request.auth` to how it proved itself.

    `x-api-key` goes before `Authorization: Bearer`; the same key is good in either. An empty header counts as absent.
    """

    def authenticate(self, request: Request) -> tuple[Actor, Any] | None:
        """The actor, or None where nothing was presented. Raises Unauthenticated for what is not valid."""
        token = request.headers.get("x-api-key", "").strip() or bearer(request)
        if token is None:
            return None
        return authenticate(token, origin=request.headers.get("Origin"))

    def authenticate_header(self, request: Request) -> str:
        return "Bearer"


class CookieAuthentication(TokenAuthentication):
    """As above, and where no header is there the sign-in cookie of the `ai` dialect, with a check of its Origin."""

    def authenticate(self, request: Request) -> tuple[Actor, Any] | None:
        presented = super().authenticate(request)
        cookie = request.COOKIES.get(COOKIE)
        if presented is not None or not cookie:
            return presented
        check_origin(request)
        return authenticate(cookie)


def bearer(request: Request) -> str | None:
    """The bearer token of the Authorization header. Raises Unauthenticated for another scheme."""
    header = request.headers.get("Authorization", "").strip()
    if not header:
        return None
    scheme, _, token = header.partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise Unauthenticated("The Authorization header must be: Bearer <token>.")
    return token.strip()


def authenticate(token: str, *, origin: str | None = None) -> tuple[Actor, Any]:
    """The actor behind an API key, an access token or a chat token; `origin` is the asking page's, if one asks. From
    here on the request sees their workspace."""
    with scope.through(Door.SIGN_IN):
        actor, session = _authenticate(token, origin)
    scope.enter(actor.workspace_id)
    return actor, session


def _authenticate(token: str, origin: str | None) -> tuple[Actor, Any]:
    now = timezone.now()
    if token.startswith(keys.PREFIX):
        return keys.authenticate(secret=token, now=now), None
    if token.count(".") != 2:
        raise keys.InvalidKey
    try:
        session = sign_in.authenticate(access_token=token)
    except sign_in.InvalidAccessToken:
        return tokens.authenticate(chat_token=token, now=now, origin=origin), None
    return session.actor, session


def check_origin(request: Request) -> None:
    """Refuse a cookie that a page of a foreign origin sent along."""
    origin = request.headers.get("Origin")
    if origin is None:
        return
    if urlsplit(origin).netloc != request.get_host() and origin not in settings.CORS_ALLOWED_ORIGINS:
        raise CrossOrigin
