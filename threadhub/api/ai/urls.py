"""Addresses of the `ai` dialect, under `/api/` and under its alias `/api/v1/`. None ends in a slash."""

from django.urls import URLPattern, URLResolver, include, path

from threadhub.api.ai.views.chat import AgentChat, Chat
from threadhub.api.ai.views.threads import Threads
from threadhub.api.streaming import awaiting

# `threads` and `agents` come before `{integration}`, which would take their names for an id.
ROUTES: list[URLPattern] = [
    path("ai/threads", Threads.as_view({"get": "list", "post": "create"})),
    path("ai/threads/<str:thread_id>", Threads.as_view({"get": "retrieve", "delete": "destroy"})),
    path("ai/agents/<str:agent_id>/chat", awaiting(AgentChat.as_view({"get": "retrieve", "post": "create"}))),
    path("ai/<str:integration_id>/chat-completion", awaiting(Chat.as_view({"post": "complete"}))),
    path(
        "ai/<str:integration_id>/chat-completion/<str:thread_id>",
        awaiting(Chat.as_view({"post": "complete_in_thread"})),
    ),
]

urlpatterns: list[URLPattern | URLResolver] = [*ROUTES, path("v1/", include(ROUTES))]
