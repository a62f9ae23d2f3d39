"""The runs of a thread: `…/threads/{thread_id}/runs[/{run_id}[/events|/cancel|/context]]`."""

from collections.abc import Sequence
from typing import Any

from django.http import HttpResponse
from django.http.response import HttpResponseBase
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from threadhub.api.rest.inputs.threads import NothingSent
from threadhub.api.rest.pagination import (
    WHOLE_NUMBER,
    KeysetPagination,
    address,
    read_order,
    read_skip,
    read_take,
    whole_number,
)
from threadhub.api.rest.representations import runs as representations
from threadhub.api.rest.representations.runs import ContextRepresentation, RunRepresentation
from threadhub.api.rest.views.answers import RunAnswers
from threadhub.api.rest.views.base import InThread
from threadhub.api.streaming import EVENT_STREAM, last_event_id
from threadhub.api.views import path_id
from threadhub.workspaces.actor import Actor
from threadhub.workspaces.permissions import Permission
from threads import access
from threads.lifecycle import reading
from threads.models import Run
from threads.runs import context
from threads.runs.end import cancel

AFTER = OpenApiParameter(
    "after", WHOLE_NUMBER, description="Only events after this number; as the Last-Event-ID header."
)


class Runs(InThread):
    permissions = {"GET": Permission.THREAD_READ, "POST": Permission.AGENT_INVOKE}
    query = {"events": ("after",)}
    pagination_class = KeysetPagination

    @extend_schema(responses={200: RunRepresentation(many=True)})
    def list(self, request: Request, **path: Any) -> Response:
        thread = self.find_thread()
        if reading.is_bundled(thread):
            return self._bundled(request, reading.runs(thread))
        return self.page(Run.objects.of_thread(thread), RunRepresentation, threads_path=self.threads_path)

    @extend_schema(responses={200: RunRepresentation})
    def retrieve(self, request: Request, **path: Any) -> Response:
        return Response(self._shown(self.find_run()))

    @extend_schema(responses={(200, EVENT_STREAM): OpenApiTypes.ANY}, parameters=[AFTER])
    def events(self, request: Request, **path: Any) -> HttpResponseBase:
        """Replays the run's stream from the beginning or from an event on, then follows it to its end."""
        after = whole_number(request, "after", last_event_id(request))
        run = self.find_run()
        if request.method == "HEAD":
            return HttpResponse(content_type=f"{EVENT_STREAM}; charset=utf-8")
        return RunAnswers(request, self.threads_path).as_stream(run, after=after)

    @extend_schema(request=NothingSent, responses={200: RunRepresentation})
    def cancel(self, request: Request, **path: Any) -> Response:
        NothingSent.parse(request)
        actor = self.acting
        run = cancel(actor=actor, run=self.find_run(actor), now=self.now)
        return Response(self._shown(run))

    @extend_schema(responses={200: ContextRepresentation})
    def context(self, request: Request, **path: Any) -> Response:
        """Exactly what the model was given."""
        run = self.find_run()
        return Response(representations.context(run, context.given(run=run)))

    def _shown(self, run: Run) -> Any:
        return RunRepresentation(run, context={"threads_path": self.threads_path}).data

    def _bundled(self, request: Request, runs: Sequence[Run]) -> Response:
        """The runs of an archived thread: all of them are read anyway, so pages are counted by `skip`."""
        skip, take = read_skip(request), read_take(request)
        ordered = runs if read_order(request) == "desc" else runs[::-1]
        page, more = ordered[skip : skip + take], bool(take) and len(ordered) > skip + take
        links = {
            "has_more": more,
            "next": address(request, skip=str(skip + take)) if more else None,
            "previous": address(request, skip=str(max(0, skip - take))) if skip else None,
        }
        return Response({"count": len(runs), **links, "data": [self._shown(run) for run in page]})

    def find_run(self, actor: Actor | None = None) -> Run:
        """The run that the path names, of the thread that it names. Raises RunNotFound and the thread's errors."""
        thread = self.find_thread(actor)
        run_id = path_id(Run.PREFIX, self.kwargs["run_id"], access.RunNotFound)
        return access.get_run(thread=thread, run_id=run_id)
