"""Who is asking: a bearer token or an API key, and for the `ai` dialect its sign-in cookie."""

from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.http import HttpRequest
from django.utils import timezone
from rest_framework.authentication import BaseAuthentication
from rest_framework.request import Request

from chat_sessions import tokens
from threadhub.api import gone_wrong
from threadhub.isolation import scope
from threadhub.isolation.scope import Door
from threadhub.lib import ids
from threadhub.lib.errors import Forbidden, Unauthenticated
from threadhub.workspaces import end_users, keys, known_keys, sign_in
from threadhub.workspaces.actor import Actor
from threadhub.workspaces.models import Workspace
from threadhub.workspaces.permissions import Permission

END_USER_HEADERS = ("x-end-user", "x-impersonate-user")  # ours, and what the `ai` dialect's clients send
WORKSPACE_HEADER = "x-impersonate-workspace"
SAFE = ("GET", "HEAD", "OPTIONS")
COOKIE = "qlt_threadhub"  # the `ai` dialect's clients know theirs by `qlt_`


class CrossOrigin(Forbidden):
    """A sign-in cookie is only taken from our own origin or an allowed one."""

    code = "cross_origin"


class WrongWorkspace(Forbidden):
    """One acts on behalf of others in one's own workspace only."""

    code = "other_workspace"


class TokenAuthentication(BaseAuthentication):
    """Sets `request.user` to the Actor and `request.auth` to how it proved itself.

    `x-api-key` goes before `Authorization: Bearer`; the same key is good in either. An empty header counts as absent.
    """

    def authenticate(self, request: Request) -> tuple[Actor, Any] | None:
        """The actor, or None where nothing was presented. Raises Unauthenticated for what is not valid."""
        before = gone_wrong.of(request)
        if before is not None:
            if before.actor is None:
                before.raise_again()
            scope.enter(before.actor.workspace_id)
            return before.actor, None
        token = presented(request)
        if token is None:
            return None
        actor, proof = authenticate(token, origin=request.headers.get("Origin"))
        return on_behalf(request, actor), proof

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
        actor, proof = authenticate(cookie)
        return on_behalf(request, actor), proof


def presented(request: Request | HttpRequest) -> str | None:
    """The key or token that the request's headers have. Raises Unauthenticated for another scheme."""
    return request.headers.get("x-api-key", "").strip() or bearer(request)


def bearer(request: Request | HttpRequest) -> str | None:
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
    known = known_keys.find(secret=token, now=timezone.now()) if token.startswith(keys.PREFIX) else None
    if known is not None:
        scope.enter(known.workspace_id)
        return known, None
    with scope.through(Door.SIGN_IN):
        actor, session = _authenticate(token, origin)
    scope.enter(actor.workspace_id)
    return actor, session


def _authenticate(token: str, origin: str | None) -> tuple[Actor, Any]:
    now = timezone.now()
    if token.startswith(keys.PREFIX):
        return known_keys.look_up(secret=token, now=now), None
    if token.count(".") != 2:
        raise keys.InvalidKey
    try:
        session = sign_in.authenticate(access_token=token)
    except sign_in.InvalidAccessToken:
        return tokens.authenticate(chat_token=token, now=now, origin=origin), None
    return session.actor, session


def on_behalf(request: Request, actor: Actor) -> Actor:
    """The actor on behalf of the end user that a header names, if one does. Raises what `end_users.act_for` does,
    and WrongWorkspace."""
    workspace = request.headers.get(WORKSPACE_HEADER)
    if workspace and workspace != ids.encode(Workspace.PREFIX, actor.workspace_id):
        raise WrongWorkspace
    name = next((request.headers[header] for header in END_USER_HEADERS if header in request.headers), None)
    if name is None:
        return actor
    view = request.parser_context["view"]
    asks = getattr(view, "permissions", {}).get(request.method) == Permission.AGENT_INVOKE  # a GET may start a run
    make = asks or request.method not in SAFE
    return end_users.act_for(actor=actor, name=_as_text(name), now=timezone.now(), make=make)


def _as_text(header: str) -> str:
    """What a header says, whose bytes arrive as Latin-1 and are UTF-8 where they are no ASCII."""
    try:
        return header.encode("latin-1").decode()
    except UnicodeError:
        return header


def check_origin(request: Request) -> None:
    """Refuse a cookie that a page of a foreign origin sent along."""
    origin = request.headers.get("Origin")
    if origin is None:
        return
    if _host_of(origin) != request.get_host() and origin not in settings.CORS_ALLOWED_ORIGINS:
        raise CrossOrigin


def _host_of(origin: str) -> str | None:
    """Host and port; None for what is no origin at all, such as `http://[::1`."""
    try:
        return urlsplit(origin).netloc
    except ValueError:
        return None
