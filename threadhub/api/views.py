"""What the views of both dialects share."""

from typing import Any, ClassVar

from django.http import HttpResponseBase
from django.utils import timezone
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import GenericViewSet

from threadhub.api import etags, gone_wrong, idempotency, throttling
from threadhub.api.streaming import AfterRun
from threadhub.audit import watching
from threadhub.lib import ids
from threadhub.lib.errors import NotFound, Unauthenticated
from threadhub.limits.rates import Allowance, RateLimited
from threadhub.limits.streams import Place
from threadhub.workspaces import workspaces
from threadhub.workspaces.actor import Actor
from threads.models import Run


class ApiViewSet(GenericViewSet[Any]):
    """Parse, one call into the domain, render. Subclasses declare `permissions` per HTTP method."""

    permissions: ClassVar[dict[str, Any]] = {}
    visitors: ClassVar[bool] = False  # whether a chat token may come here
    # Handlers that threadhub/short_way.py leads to. They look at nothing of a request that `Asked` there has not, and
    # set no headers but those that it sends (OWN); tests/api/short_way asks each of them both ways.
    short_way: ClassVar[frozenset[str]] = frozenset()
    across_own_workspaces: ClassVar[bool] = False  # of a person: what concerns all of their workspaces, not one
    request: Request
    post: Any
    allowance: Allowance | None = None  # once the request is counted
    place: Place | None = None  # of an answer that may take long

    @property
    def actor(self) -> Actor:
        """Who is asking; the permission check has seen to it that somebody is."""
        actor = self.request.user
        assert isinstance(actor, Actor)  # noqa: S101
        return actor

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        if self.across_own_workspaces and isinstance(request.user, Actor):
            workspaces.enter_own(actor=request.user)
        self.now = timezone.now()
        key = idempotency.key_of(request)
        if key is not None and isinstance(request.user, Actor):
            self._answer_once(key)

    def check_throttles(self, request: Request) -> None:
        """Every request counts, once, and one that may take long needs a place. Raises RateLimited, TooManyStreams, and
        again what has gone wrong already."""
        before = gone_wrong.of(request)
        if before is not None:
            self.allowance = before.allowance
            before.raise_again()
        self.allowance = throttling.count(request.user)
        if self.allowance is not None and not self.allowance.allowed:
            raise RateLimited(retry_after=self.allowance.retry_after)
        if getattr(request, throttling.AWAITED, False) and isinstance(request.user, Actor) and request.method != "HEAD":
            self.place = throttling.take_place(request.user)

    def handle_exception(self, exc: Exception) -> Any:
        """Who fails to prove to be somebody is counted by their address, and after many such failures told so."""
        if isinstance(exc, Unauthenticated) and self.allowance is None:
            self.allowance = throttling.count(None)
            if self.allowance is not None and not self.allowance.allowed:
                exc = RateLimited(retry_after=self.allowance.retry_after)
        return super().handle_exception(exc)

    def options(self, request: Any, *args: Any, **kwargs: Any) -> Response:
        """Which methods there are, in `Allow`."""
        return Response(status=204)

    def answer_run(self, run: Run) -> Any:
        """The answer made from a run, for views that start one: used for the first request and for retries of it."""
        raise TypeError(f"{type(self).__name__} starts no runs")

    def _answer_once(self, key: str) -> None:
        """Put the handler of this request behind its Idempotency-Key."""
        handler = self.post

        def once(request: Request, *args: Any, **kwargs: Any) -> Any:
            return idempotency.once(
                key=key,
                request=request,
                actor=self.actor,
                now=self.now,
                handler=lambda: handler(request, *args, **kwargs),
                answer_run=self.answer_run,
            )

        self.post = once

    def finalize_response(self, request: Request, response: Any, *args: Any, **kwargs: Any) -> Any:
        response = super().finalize_response(request, response, *args, **kwargs)
        self.tell(request, response)
        if self.place is not None and (response.streaming or isinstance(response, AfterRun)):
            throttling.give_place(response, self.place)
        elif self.place is not None:
            self.place.release()
        return response

    def tell(self, request: Request, response: HttpResponseBase) -> None:
        """Say on an answer whose it is and where its asker stands, and count what was read."""
        response.headers.setdefault("Cache-Control", "private, no-cache")
        if self.allowance is not None:
            throttling.show(response, self.allowance)
        actor = getattr(request, "_user", None)  # the property would authenticate, and raise again what it raised
        if isinstance(actor, Actor):
            etags.read_by(response, actor)
            _watch(actor, request, response.status_code)


def _watch(actor: Actor, request: Request, status: int) -> None:
    """Count what was read, and what was not there, in memory (threadhub/audit/watching.py)."""
    if status == 404:
        watching.missing(actor=actor, path=request.path)
    elif request.method == "GET":
        watching.read(actor=actor)


def path_id(prefix: str, text: str, missing: type[NotFound]) -> Any:
    """The id in a path; any other spelling than the canonical one is not found, like an id that never existed."""
    try:
        return ids.decode(prefix, text)
    except ids.InvalidId:
        raise missing from None
