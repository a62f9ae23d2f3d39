"""Asking an agent: in a thread of the workspace, of an agent or of a chat session, or in a new one."""

from functools import partial
from typing import Any, ClassVar

from django.http.response import HttpResponseBase
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request

from threadhub.api import idempotency
from threadhub.api.rest.inputs.invoke import AgentInvoke, Asking, ThreadInvoke
from threadhub.api.rest.representations.runs import Answer
from threadhub.api.rest.views.answers import RunAnswers
from threadhub.api.rest.views.base import InThread
from threadhub.api.streaming import Leaving, accepts_stream
from threadhub.api.views import path_id
from threadhub.lib.errors import Invalid
from threadhub.workspaces.actor import Actor
from threadhub.workspaces.permissions import Permission
from threads import access
from threads.models import Run, Thread
from threads.runs.end import cancel_if_live
from threads.runs.start import ask, ask_anew

ANSWERS = {(200, "application/json"): Answer, (200, "text/event-stream"): OpenApiTypes.ANY}


ON_DISCONNECT = OpenApiParameter(
    "on_disconnect",
    enum=["continue", "cancel"],
    default="continue",
    description="What becomes of the run when its client goes before the end.",
)


class Invoke(InThread):
    """What asking has in common, wherever it is asked."""

    permissions = {"POST": Permission.AGENT_INVOKE}
    query: ClassVar[dict[str, tuple[str, ...]]] = {"create": ("on_disconnect",)}

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        if request.query_params.get("on_disconnect", "continue") not in ("continue", "cancel"):
            raise Invalid.at("query", "on_disconnect", msg="on_disconnect must be continue or cancel.")

    def when_left(self, run: Run) -> Leaving | None:
        """What is done when the client goes before the end."""
        if self.request.query_params.get("on_disconnect") != "cancel":
            return None
        return partial(self._cancel_unless_asked_again, actor=self.acting, run=run)

    def _cancel_unless_asked_again(self, *, actor: Actor, run: Run) -> None:
        """A client that was cut off and has come back under its Idempotency-Key, here or elsewhere, has not gone."""
        if not idempotency.was_asked_again(self.request):
            cancel_if_live(actor=actor, run=run, now=self.now)


class InvokeThread(Invoke):
    """JSON once the answer is there, or with `Accept: text/event-stream` its events as they come."""

    @extend_schema(request=ThreadInvoke, parameters=[ON_DISCONNECT], responses=ANSWERS)
    def create(self, request: Request, **path: Any) -> HttpResponseBase:
        actor = self.acting
        thread_id, agent_id = self.named()
        try:
            asking = Asking.parse(request, ThreadInvoke)
        except Exception:
            self.find_thread(actor)  # where there is no such thread, that is what is wrong
            raise
        started = ask(
            actor=actor,
            thread_id=thread_id,
            agent_id=agent_id,
            drafts=asking.drafts,
            now=self.now,
            wish=asking.wish,
        )
        return self.answer_run(started.run)

    def answer_run(self, run: Run) -> HttpResponseBase:
        answers = RunAnswers(self.request, self.threads_path, when_left=self.when_left(run))
        return answers.as_stream(run) if accepts_stream(self.request) else answers.when_over(run)


class InvokeAgent(Invoke):
    """As in a thread; without `thread_id` a new thread is made. `enable_streaming` asks for events like `Accept`."""

    @extend_schema(request=AgentInvoke, parameters=[ON_DISCONNECT], responses=ANSWERS)
    def create(self, request: Request, agent_id: str) -> HttpResponseBase:
        asking = Asking.parse(request, AgentInvoke)
        text = asking.body.get("thread_id")
        if text is None:
            started = ask_anew(
                actor=self.actor,
                agent_id=self.agent_id,
                external_ref=asking.body.get("external_ref"),
                drafts=asking.drafts,
                now=self.now,
                wish=asking.wish,
            )
        else:
            started = ask(
                actor=self.actor,
                agent_id=self.agent_id,
                thread_id=path_id(Thread.PREFIX, text, access.ThreadNotFound),
                drafts=asking.drafts,
                now=self.now,
                wish=asking.wish,
            )
        return self.answer_run(started.run)

    def answer_run(self, run: Run) -> HttpResponseBase:
        """`enable_streaming` and `show_tool_calls` were validated when the run was asked for."""
        body: dict[str, Any] = dict(self.request.data)
        shown = body.get("show_tool_calls") is not False
        left = self.when_left(run)
        answers = RunAnswers(self.request, self.threads_path, show_tool_calls=shown, when_left=left)
        streaming = body.get("enable_streaming") or accepts_stream(self.request)
        return answers.as_stream(run) if streaming else answers.when_over(run)
