"""Asking an agent: in a thread of the workspace, of an agent or of a chat session, or in a new one."""

from typing import Any

from django.http.response import HttpResponseBase
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request

from threadhub.api.rest.inputs.invoke import AgentInvoke, Asking, ThreadInvoke
from threadhub.api.rest.representations.runs import Answer
from threadhub.api.rest.views.answers import RunAnswers
from threadhub.api.rest.views.base import InThread
from threadhub.api.streaming import accepts_stream
from threadhub.api.views import path_id
from threadhub.workspaces.permissions import Permission
from threads import access
from threads.models import Run, Thread
from threads.runs.start import ask, start

ANSWERS = {(200, "application/json"): Answer, (200, "text/event-stream"): OpenApiTypes.STR}


class InvokeThread(InThread):
    """JSON once the answer is there, or with `Accept: text/event-stream` its events as they come."""

    permissions = {"POST": Permission.AGENT_INVOKE}

    @extend_schema(request=ThreadInvoke, responses=ANSWERS)
    def create(self, request: Request, **path: Any) -> HttpResponseBase:
        actor = self.acting
        thread = self.find_thread(actor)
        asking = Asking.parse(request, ThreadInvoke)
        started = start(actor=actor, thread=thread, drafts=asking.drafts, now=self.now, wish=asking.wish)
        return self.answer_run(started.run)

    def answer_run(self, run: Run) -> HttpResponseBase:
        answers = RunAnswers(self.request, self.threads_path)
        return answers.as_stream(run) if accepts_stream(self.request) else answers.when_over(run)


class InvokeAgent(InThread):
    """As in a thread; without `thread_id` a new thread is made. `enable_streaming` asks for events like `Accept`."""

    permissions = {"POST": Permission.AGENT_INVOKE}

    @extend_schema(request=AgentInvoke, responses=ANSWERS)
    def create(self, request: Request, agent_id: str) -> HttpResponseBase:
        asking = Asking.parse(request, AgentInvoke)
        thread_id = asking.body.get("thread_id")
        started = ask(
            actor=self.actor,
            agent_id=self.agent_id,
            thread_id=path_id(Thread.PREFIX, thread_id, access.ThreadNotFound) if thread_id is not None else None,
            external_ref=asking.body.get("external_ref"),
            drafts=asking.drafts,
            now=self.now,
            wish=asking.wish,
        )
        return self.answer_run(started.run)

    def answer_run(self, run: Run) -> HttpResponseBase:
        """`enable_streaming` and `show_tool_calls` were validated when the run was asked for."""
        body: dict[str, Any] = dict(self.request.data)
        answers = RunAnswers(self.request, self.threads_path, show_tool_calls=body.get("show_tool_calls") is not False)
        streaming = body.get("enable_streaming") or accepts_stream(self.request)
        return answers.as_stream(run) if streaming else answers.when_over(run)
