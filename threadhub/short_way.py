"""The short way to the views that are asked most.

What middleware and REST framework make of a request depends on its method, its view and its headers, and a client sends
the same headers again and again. So of requests that are alike in these the first takes the whole way, and is learned
from; those that follow come to the view's handler with no more of a request than handlers look at. Who asks is looked
up each time, and so is, by the view's own `initial`, what they may, how often they ask and which parameters there are.

What goes wrong on the short way is said by the whole way: who asked is known there, and the error is raised again where
requests are counted (ApiViewSet.check_throttles). So nothing is done twice, and no request counted twice. Views say
themselves which of their handlers are reached so (`ApiViewSet.short_way`), and a test compares both ways.
"""

import os
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from hashlib import blake2b
from io import BytesIO
from typing import Any, NamedTuple

import structlog
from django.http import HttpRequest, HttpResponse, QueryDict
from django.http.response import HttpResponseBase
from django.urls import ResolverMatch
from django.utils import timezone
from django.utils.encoding import iri_to_uri
from rest_framework.response import Response

from threadhub import audit, origin, request_log
from threadhub.api import etags
from threadhub.api.authentication import END_USER_HEADERS, WORKSPACE_HEADER, on_behalf, presented
from threadhub.api.gone_wrong import GoneWrong
from threadhub.api.parsers import AnyJSONParser
from threadhub.api.renderers import as_json
from threadhub.isolation import scope as scopes
from threadhub.lib import notices, remembered, secrets
from threadhub.lib.remembered import Remembered
from threadhub.workspaces import known_keys
from threadhub.workspaces.actor import Actor

FORMS = 4096
LONGEST = 4096  # bytes of headers, and of an address with the headers that requests which are alike may differ in
METHODS = ("GET", "POST")
# Headers that handlers read: those in which requests that are alike may differ, and those in which they do not.
READ_EACH_TIME = {name.encode(): name for name in ("if-none-match", *END_USER_HEADERS)}
READ = ("content-type", WORKSPACE_HEADER)
# Headers that are another one with each request, and that nobody reads.
DIFFERENT = frozenset(
    {
        *(b"content-length", b"x-request-id", b"x-correlation-id", b"x-request-start", b"traceparent", b"tracestate"),
        *(b"baggage", b"b3", b"x-b3-traceid", b"x-b3-spanid", b"x-b3-parentspanid", b"sentry-trace", b"cf-ray"),
        *(b"x-amzn-trace-id", b"x-amz-cf-id", b"x-cloud-trace-context", b"x-datadog-trace-id", b"uber-trace-id"),
        *(b"x-datadog-parent-id", b"fly-request-id", b"x-vercel-id"),
        *READ_EACH_TIME,
    }
)
# Whoever sends one of these takes the whole way.
UNCOMMON = frozenset(
    {
        *(b"origin", b"cookie", b"idempotency-key", b"range", b"expect", b"transfer-encoding", b"content-encoding"),
        *(b"if-match", b"if-modified-since", b"if-unmodified-since"),
    }
)
# Headers that belong to one answer; all others are the same for requests that are alike, whatever they are answered.
OWN = frozenset({"content-length", "etag", "location", "ratelimit", "ratelimit-policy", origin.WARNING.lower()})
OF_BODIES = frozenset({b"allow", b"content-type"})
LEARNED_FROM = (200, 201)
UNCHANGED = 304
_key = os.urandom(32)

Scope = Mapping[str, Any]
Send = Callable[[dict[str, Any]], Awaitable[None]]


class Alike(NamedTuple):
    """What makes requests alike; the headers as a digest, for there are secrets among them."""

    method: str
    route: str
    headers: bytes
    scheme: str
    peer: str


class Headers(dict[str, str]):
    """By names in any letter case."""

    def get(self, name: str, default: Any = None) -> Any:
        return super().get(name.lower(), default)

    def __getitem__(self, name: str) -> str:
        return super().__getitem__(name.lower())

    def __contains__(self, name: object) -> bool:
        return super().__contains__(str(name).lower())


@dataclass(frozen=True, slots=True)
class Form:
    """What is known of requests that are alike."""

    key: bytes  # digest of the key that they are asked with
    headers: Headers  # of READ
    root: str  # of links: scheme and host
    origin: audit.Origin
    shared: list[tuple[bytes, bytes]]  # headers that all answers have
    shared_unchanged: list[tuple[bytes, bytes]]  # and those of them without a body, because it is known


class Asked:
    """As much of a request as handlers look at: that of REST framework has the same names."""

    _user: Actor | None = None
    auth = None

    def __init__(self, scope: Scope, body: bytes, form: Form) -> None:
        self.method: str = scope["method"]
        self.path: str = scope["path"]
        self.META = {"QUERY_STRING": scope["query_string"].decode("ascii")}
        self.headers = Headers(form.headers)
        self.root = form.root
        self.body = body
        for name, value in scope["headers"]:
            if name in READ_EACH_TIME:
                self._add(READ_EACH_TIME[name], value.decode("latin-1"))

    @property
    def user(self) -> Actor | None:
        return self._user

    @cached_property
    def query_params(self) -> QueryDict:
        query = self.META["QUERY_STRING"]
        return QueryDict(query) if len(query) > remembered.SHORT else _parsed(query)

    @cached_property
    def data(self) -> Any:
        return AnyJSONParser().parse(BytesIO(self.body), self.headers.get("content-type", ""))

    def _add(self, name: str, value: str) -> None:
        """As Django does where a header comes more than once."""
        before = self.headers.get(name)
        value = value if before is None else f"{before},{value}"
        self.headers[name] = self.META[f"HTTP_{name.upper().replace('-', '_')}"] = value

    def build_absolute_uri(self, location: str) -> str:
        return iri_to_uri(self.root + location)


class Plain(NamedTuple):
    """An answer as it is sent."""

    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes

    async def send(self, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status, "headers": self.headers})
        await send({"type": "http.response.body", "body": self.body})


@remembered.results(1024)
def _parsed(query: str) -> QueryDict:
    return QueryDict(query)  # which cannot be changed


_forms: Remembered[Alike, Form] = Remembered(FORMS)


def alike(scope: Scope, found: ResolverMatch | None) -> Alike | None:
    """What makes others like this request. None: it takes the whole way."""
    method = scope["method"]
    if (
        found is None
        or method not in METHODS
        or not _leads_to(found, method)
        or scope.get("root_path")
        or not request_log.is_quiet()
    ):
        return None
    told: list[bytes] = []
    different = len(scope["path"]) + len(scope["query_string"])
    for name, value in scope["headers"]:
        if name in DIFFERENT:
            different += len(value)
        elif name in UNCOMMON:
            return None
        else:
            told += (name, value)
    headers = b"\0".join(told)
    if max(different, len(headers)) > LONGEST or not scope["query_string"].isascii():
        return None
    headers = blake2b(headers, digest_size=16, key=_key).digest()
    client = scope.get("client")
    return Alike(method, found.route, headers, scope["scheme"], client[0] if client else "")


def answer(asked: Alike, scope: Scope, body: bytes, found: ResolverMatch) -> Plain | GoneWrong | None:
    """The answer, or what went wrong on the way to it. None: nothing was done, take the whole way."""
    form = _forms.get(asked)
    actor = known_keys.known(form.key, now=timezone.now()) if form is not None else None
    if form is None or actor is None or not (body or asked.method == "GET"):
        return None
    request_id, remarks = _begin(form, actor)
    request: Any = Asked(scope, body, form)
    view = _view(found, request)
    try:
        request._user = on_behalf(request, actor)
        view.initial(request, **found.kwargs)
        response: Any = _written(getattr(view, view.action)(request, **found.kwargs))
        view.tell(request, response)
        if asked.method == "GET":
            response = etags.settled(request, response)
        return _plain(response, form, remarks)
    except Exception as error:  # noqa: BLE001  whatever it is, the whole way raises it again
        return GoneWrong(error, request._user, view.allowance, remarks, request_id)
    finally:
        request.parser_context = None  # else the request and its view hold each other


def learn(asked: Alike, request: HttpRequest, response: HttpResponseBase) -> None:
    """From a request that took the whole way, for those like it."""
    if response.status_code not in LEARNED_FROM:
        return
    token = presented(request)
    key = secrets.digest(token) if token is not None else b""
    if known_keys.known(key, now=timezone.now()) is None:
        return
    shared = [
        (name.lower().encode("ascii"), value.encode("latin-1"))
        for name, value in response.headers.items()
        if name.lower() not in OWN
    ]
    form = Form(
        key=key,
        headers=Headers((name, request.headers[name]) for name in READ if name in request.headers),
        root=request.build_absolute_uri("/").removesuffix("/"),
        origin=origin.origin_of(request),
        shared=shared,
        shared_unchanged=[(name, value) for name, value in shared if name not in OF_BODIES],
    )
    _forms.put(asked, form)


def _leads_to(found: ResolverMatch, method: str) -> bool:
    """Whether the short way leads to the handler of a method."""
    view: Any = found.func
    leads_to = getattr(getattr(view, "cls", None), "short_way", ())
    return bool(leads_to) and view.actions.get(method.lower()) in leads_to


def _begin(form: Form, actor: Actor) -> tuple[str, list[str]]:
    """As the middleware does; returns the request's id and the list of its remarks."""
    scopes.enter(actor.workspace_id)
    request_id = request_log.new_id()
    structlog.contextvars.bind_contextvars(request_id=request_id, ip=form.origin.address)
    here = form.origin
    audit.origin.set(audit.Origin(here.face, here.address, here.user_agent, request_id))
    return request_id, notices.collect()


def _view(found: ResolverMatch, request: Any) -> Any:
    """As REST framework's `as_view` and `initialize_request`."""
    function: Any = found.func
    view = function.cls(**function.initkwargs)
    view.action_map = function.actions
    view.action = function.actions[request.method.lower()]
    view.request, view.args, view.kwargs = request, (), dict(found.kwargs)
    request.parser_context = {"view": view}
    return view


def _written(response: HttpResponse) -> HttpResponse:
    if not isinstance(response, Response):
        return response
    written = as_json(response.data, status=response.status_code)
    for name, value in response.headers.items():
        if name.lower() in OWN:
            written.headers[name] = value
    return written


def _plain(response: Any, form: Form, remarks: list[str]) -> Plain:
    own = [
        (name.lower().encode("ascii"), value.encode("latin-1"))
        for name, value in response.headers.items()
        if name.lower() in OWN
    ]
    if remarks:
        own.append((origin.WARNING.lower().encode(), ", ".join(remarks).encode()))
    if response.status_code == UNCHANGED:
        return Plain(response.status_code, form.shared_unchanged + own, b"")
    body = response.content
    return Plain(response.status_code, [*form.shared, *own, (b"content-length", b"%d" % len(body))], body)
