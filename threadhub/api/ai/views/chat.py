"""Asking an integration: with or without a thread, answered as one JSON document or as a stream."""

from typing import Any, ClassVar

from django.http import HttpResponse
from django.http.response import HttpResponseBase
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from threadhub.agents import access as agents
from threadhub.agents.access import AgentNotFound
from threadhub.agents.models import Agent
from threadhub.api import errors
from threadhub.api.ai.events import CANCELLED, DONE, Chunks
from threadhub.api.ai.inputs import chat as inputs
from threadhub.api.ai.representations.completions import CompletionObject, completion
from threadhub.api.ai.views.viewset import VERSION, VERSION_HEADER, YES, AiViewSet
from threadhub.api.problem import Problem
from threadhub.api.streaming import AfterRun, accepts_stream, stream
from threadhub.api.views import path_id
from threadhub.lib import json
from threadhub.workspaces.permissions import Permission
from threads import access
from threads.access import ThreadNotFound
from threads.actions import resent
from threads.models import Run, Thread
from threads.runs.start import Started

STREAM = OpenApiParameter("stream", OpenApiTypes.BOOL, description="Answer as server-sent events.")
ANSWERS = {(200, "application/json"): CompletionObject, (200, "text/event-stream"): OpenApiTypes.ANY}


class Chat(AiViewSet):
    """`/api/ai/{integration}/chat-completion[/{thread}]`. A person reaches their own threads only, admins too."""

    permissions: ClassVar[dict[str, Any]] = {"POST": Permission.AGENT_INVOKE}
    wordings: ClassVar[dict[str, str]] = {
        "agent_not_found": "integration not found",
        "thread_not_found": "thread not found",
    }

    @extend_schema(
        operation_id="ai_chat_completion", parameters=[STREAM], request=inputs.ChatRequest, responses=ANSWERS
    )
    def complete(self, request: Request, integration_id: str) -> HttpResponseBase:
        """Answer the messages sent; nothing of it stays."""
        return self.answer_run(self.ask(self.body, integration_id).run)

    @extend_schema(
        operation_id="ai_chat_completion_in_thread", parameters=[STREAM], request=inputs.ChatRequest, responses=ANSWERS
    )
    def complete_in_thread(self, request: Request, integration_id: str, thread_id: str) -> HttpResponseBase:
        """Append the new ones of the messages to the thread, answer, and keep the answer there."""
        return self.answer_run(self.ask(self.body, integration_id, thread_id).run)

    def ask(self, body: dict[str, Any], integration_id: str, thread_id: str | None = None) -> Started:
        """Start the run that a chat call asks for."""
        actor = self.actor.as_speaker()
        agent_id = path_id(Agent.PREFIX, integration_id, AgentNotFound)
        agents.get_to_invoke(actor=actor, agent_id=agent_id)
        if thread_id is None:
            asked = inputs.parse(body)
            return resent.ask_alone(actor=actor, agent_id=agent_id, sent=asked.sent, now=self.now, wish=asked.wish)
        thread = access.get(actor=actor, thread_id=path_id(Thread.PREFIX, thread_id, ThreadNotFound), agent_id=agent_id)
        asked = inputs.parse(body)
        return resent.ask(actor=actor, thread=thread, sent=asked.sent, now=self.now, wish=asked.wish)

    def answer_run(self, run: Run) -> HttpResponseBase:
        """A stream where it was asked for by Accept or `stream=true` of the query, else the whole answer."""
        streaming = str(self.request.query_params.get("stream")).lower() in YES
        if streaming or accepts_stream(self.request):
            return stream(run, encode=Chunks(run), closing=DONE)
        return AfterRun(run, self.answer)

    def answer(self, run: Run) -> HttpResponse:
        """The JSON answer of a run that is over."""
        match run.status:
            case Run.Status.SUCCEEDED | Run.Status.REQUIRES_ACTION:
                response = HttpResponse(json.dumps_stored(completion(run)), content_type="application/json")
            case Run.Status.FAILED | Run.Status.EXPIRED:
                response = errors.render(self.request, errors.failed_run(run.error_code, run.error_message))
            case _:  # cancelled, or gone with its thread
                response = errors.render(self.request, Problem(409, *CANCELLED))
        response.headers[VERSION_HEADER] = VERSION
        response.headers["Cache-Control"] = "private, no-cache"
        return response


class AgentChat(Chat):
    """`/api/ai/agents/{id}/chat`, as newer clients spell it: POST for JSON, GET for a stream."""

    permissions: ClassVar[dict[str, Any]] = {"POST": Permission.AGENT_INVOKE, "GET": Permission.AGENT_INVOKE}
    wordings: ClassVar[dict[str, str]] = {"agent_not_found": "Agent not found", "thread_not_found": "Thread not found"}

    @extend_schema(operation_id="ai_agent_chat", request=inputs.AgentChatRequest, responses=ANSWERS)
    def create(self, request: Request, agent_id: str) -> HttpResponseBase:
        """Answer the messages sent, in the thread `threadId` where one is named."""
        return self.answer_run(self.ask(self.body, agent_id, inputs.thread_of(self.body)).run)

    @extend_schema(
        operation_id="ai_agent_chat_stream",
        parameters=[
            OpenApiParameter("messages", OpenApiTypes.STR, required=True, description="The messages, as JSON text."),
            OpenApiParameter("threadId", OpenApiTypes.STR),
        ],
        responses={(200, "text/event-stream"): OpenApiTypes.ANY},
    )
    def retrieve(self, request: Request, agent_id: str) -> HttpResponseBase:
        """The answer as a stream. HEAD asks for nothing and is told only how it would be sent."""
        if request.method == "HEAD":
            return Response(content_type="text/event-stream")
        body = inputs.body_of_query(request.query_params)
        started = self.ask(body, agent_id, inputs.thread_of(body))
        return stream(started.run, encode=Chunks(started.run), closing=DONE)
