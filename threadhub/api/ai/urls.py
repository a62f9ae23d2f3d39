"""Addresses of the `ai` dialect, under `/api/` and under its alias `/api/v1/`. None ends in a slash."""

from django.urls import URLPattern, URLResolver, include, path

from threadhub.api.ai.views.accounts import Account, Logout
from threadhub.api.ai.views.agents import Agents
from threadhub.api.ai.views.chat import AgentChat, Chat
from threadhub.api.ai.views.me import Me
from threadhub.api.ai.views.threads import Threads
from threadhub.api.ai.views.tokens import ApiTokens
from threadhub.api.ai.views.workspaces import Workspaces
from threadhub.api.streaming import awaiting

# `threads` and `agents` come before `{integration}`, which would take their names for an id.
ROUTES: list[URLPattern] = [
    path("ai/threads", Threads.as_view({"get": "list", "post": "create"})),
    path("ai/threads/<str:thread_id>", Threads.as_view({"get": "retrieve", "delete": "destroy"})),
    path("ai/agents", Agents.as_view({"get": "list"})),
    path("ai/agents/<str:agent_id>", Agents.as_view({"get": "retrieve"})),
    path("ai/agents/<str:agent_id>/chat", awaiting(AgentChat.as_view({"get": "retrieve", "post": "create"}))),
    path("ai/<str:integration_id>/chat-completion", awaiting(Chat.as_view({"post": "complete"}))),
    path(
        "ai/<str:integration_id>/chat-completion/<str:thread_id>",
        awaiting(Chat.as_view({"post": "complete_in_thread"})),
    ),
    path("signin", Account.as_view({"post": "sign_in"})),
    path("signup", Account.as_view({"post": "sign_up"})),
    path("token/refresh", Account.as_view({"post": "refresh"})),
    path("logout", Logout.as_view({"post": "create"})),
    path("me", Me.as_view({"get": "retrieve", "post": "update"})),
    path("me/api-tokens", ApiTokens.as_view({"get": "list", "post": "create"})),
    path("me/api-tokens/<str:token_id>", ApiTokens.as_view({"delete": "destroy"})),
    path("workspaces", Workspaces.as_view({"get": "list"})),
]

urlpatterns: list[URLPattern | URLResolver] = [*ROUTES, path("v1/", include(ROUTES))]
