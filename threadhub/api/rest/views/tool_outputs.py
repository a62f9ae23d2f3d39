"""`…/threads/{thread_id}/runs/{run_id}/tool_outputs`: what the client's own tools gave."""

from typing import Any

from django.http.response import HttpResponseBase
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from threadhub.api.rest.inputs import tool_outputs as inputs
from threadhub.api.rest.representations.runs import Answer, RunRepresentation
from threadhub.api.rest.views.invoke import ON_DISCONNECT, InvokeThread
from threadhub.api.views import path_id
from threads import access
from threads.actions.tool_outputs import bring
from threads.models import Run

ANSWERS = {
    (200, "application/json"): Answer,
    (200, "text/event-stream"): OpenApiTypes.ANY,
    (202, "application/json"): RunRepresentation,
}


class ToolOutputs(InvokeThread):
    """Answered like a question, by the run that goes on. 202 with the run where approvals are still to be decided."""

    @extend_schema(request=inputs.ToolOutputs, parameters=[ON_DISCONNECT], responses=ANSWERS)
    def create(self, request: Request, **path: Any) -> HttpResponseBase:
        actor = self.acting
        thread = self.find_thread(actor)
        run = access.get_run(thread=thread, run_id=path_id(Run.PREFIX, self.kwargs["run_id"], access.RunNotFound))
        going = bring(actor=actor, thread=thread, run=run, outputs=inputs.parse(request), now=self.now)
        return Response(RunRepresentation(going).data, status=202) if going.pk == run.pk else self.answer_run(going)
