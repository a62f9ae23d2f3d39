"""Addresses of the `rest` dialect, at the root. None ends in a slash."""

from typing import Any

from django.urls import URLPattern, include, path, register_converter

from threadhub.api.rest.views.again import AskAgain
from threadhub.api.rest.views.agent_threads import AgentThreads
from threadhub.api.rest.views.agent_versions import AgentVersions
from threadhub.api.rest.views.agents import Agents
from threadhub.api.rest.views.api_keys import ApiKeys
from threadhub.api.rest.views.approvals import Approvals
from threadhub.api.rest.views.attachments import Attachments
from threadhub.api.rest.views.audit import AccessAlerts, AuditEvents
from threadhub.api.rest.views.branches import Branches
from threadhub.api.rest.views.browsers import IdentitySecrets, PublicKeys
from threadhub.api.rest.views.budgets import AgentBudget, WorkspaceBudget
from threadhub.api.rest.views.chat_sessions import (
    ChatSessionClaims,
    ChatSessionDetail,
    ChatSessionRevocations,
    ChatSessions,
    ChatSessionTokens,
)
from threadhub.api.rest.views.copies import Copies
from threadhub.api.rest.views.end_users import EndUsers
from threadhub.api.rest.views.erasures import Erasures
from threadhub.api.rest.views.exports import Exports, ThreadExport
from threadhub.api.rest.views.feedback import Feedbacks
from threadhub.api.rest.views.holds import Holds
from threadhub.api.rest.views.invoke import InvokeAgent, InvokeThread
from threadhub.api.rest.views.members import Acceptances, Invitations, Members
from threadhub.api.rest.views.messages import Messages
from threadhub.api.rest.views.retention import RetentionPolicies, RetentionPreferences
from threadhub.api.rest.views.runs import Runs
from threadhub.api.rest.views.search import Search
from threadhub.api.rest.views.session_threads import SessionThreads
from threadhub.api.rest.views.threads import ThreadLife, Threads
from threadhub.api.rest.views.tool_outputs import ToolOutputs
from threadhub.api.rest.views.tools import Tools
from threadhub.api.rest.views.usage import AgentUsage, WorkspaceUsage
from threadhub.api.rest.views.workspaces import Workspaces
from threadhub.api.streaming import awaiting


class Reference:
    """Any text at all, slashes and line ends included: a client's own id."""

    regex = r"[\s\S]+"

    def to_python(self, value: str) -> str:
        return value

    def to_url(self, value: str) -> str:
        return value


register_converter(Reference, "reference")


FEEDBACK: dict[str, Any] = {"get": "retrieve", "put": "give", "delete": "destroy"}


def under_thread(**initial: Any) -> list[URLPattern]:
    """What every path of a thread has below it; `visitors=True` where a chat token opens it."""
    return [
        path("messages", Messages.as_view({"get": "list"}, **initial)),
        path("messages/<str:message_id>", Messages.as_view({"get": "retrieve"}, **initial)),
        path("messages/<str:message_id>/edit", awaiting(AskAgain.as_view({"post": "edit"}, **initial))),
        path("messages/<str:message_id>/regenerate", awaiting(AskAgain.as_view({"post": "regenerate"}, **initial))),
        path("messages/<str:message_id>/feedback", Feedbacks.as_view(FEEDBACK, **initial)),
        path("branches", Branches.as_view({"get": "list"}, **initial)),
        path("branches/<str:number>/activate", Branches.as_view({"post": "activate"}, **initial)),
        path("copy", Copies.as_view({"post": "create"}, **initial)),
        path("runs", Runs.as_view({"get": "list"}, **initial)),
        path("runs/<str:run_id>", Runs.as_view({"get": "retrieve"}, **initial)),
        path("runs/<str:run_id>/events", awaiting(Runs.as_view({"get": "events"}, **initial))),
        path("runs/<str:run_id>/cancel", Runs.as_view({"post": "cancel"}, **initial)),
        path("runs/<str:run_id>/tool_outputs", awaiting(ToolOutputs.as_view({"post": "create"}, **initial))),
        path("attachments/<str:file_id>", Attachments.as_view({"get": "retrieve"}, **initial)),
        path("invoke", awaiting(InvokeThread.as_view({"post": "create"}, **initial))),
    ]


BUDGET: dict[str, Any] = {"get": "retrieve", "put": "replace"}
THREAD: dict[str, Any] = {"get": "retrieve", "patch": "partial_update", "delete": "destroy"}
POLICY: dict[str, Any] = {"get": "retrieve", "patch": "partial_update", "delete": "destroy"}
AGENT: dict[str, Any] = {"get": "retrieve", "patch": "partial_update", "delete": "destroy"}

urlpatterns: list[Any] = [  # they are tried one after the other: those first that are asked most
    path("agents/<str:agent_id>/threads", AgentThreads.as_view({"get": "list", "post": "create"})),
    path("threads", Threads.as_view({"get": "list"})),
    path("threads/<str:thread_id>", Threads.as_view(THREAD)),
    # A server's own: a visitor's words come in by invoking, and instructions are not for visitors to read.
    path("threads/<str:thread_id>/messages", Messages.as_view({"get": "list", "post": "create"})),
    path(
        "threads/<str:thread_id>/messages/<str:message_id>", Messages.as_view({"get": "retrieve", "delete": "destroy"})
    ),
    path("threads/<str:thread_id>/export", ThreadExport.as_view({"get": "retrieve"})),
    path("threads/<str:thread_id>/archive", ThreadLife.as_view({"post": "archive"})),
    path("threads/<str:thread_id>/unarchive", ThreadLife.as_view({"post": "unarchive"})),
    path("threads/<str:thread_id>/runs/<str:run_id>/context", Runs.as_view({"get": "context"})),
    path("threads/<str:thread_id>/", include(under_thread())),
    path("agents", Agents.as_view({"get": "list", "post": "create"})),
    path("agents/<str:agent_id>", Agents.as_view(AGENT)),
    path("agents/<str:agent_id>/versions", AgentVersions.as_view({"get": "list"})),
    path("agents/<str:agent_id>/versions/<str:number>", AgentVersions.as_view({"get": "retrieve"})),
    path("agents/<str:agent_id>/versions/<str:number>/restore", AgentVersions.as_view({"post": "restore"})),
    path("agents/<str:agent_id>/public_key", PublicKeys.as_view({"post": "renew", "delete": "destroy"})),
    path("agents/<str:agent_id>/identity_secret", IdentitySecrets.as_view({"post": "renew", "delete": "destroy"})),
    path("agents/<str:agent_id>/budget", AgentBudget.as_view(BUDGET)),
    path("agents/<str:agent_id>/usage", AgentUsage.as_view({"get": "retrieve"})),
    path("agents/<str:agent_id>/invoke", awaiting(InvokeAgent.as_view({"post": "create"}))),
    path("agents/<str:agent_id>/threads/by-ref/<reference:external_ref>", AgentThreads.as_view({"put": "upsert"})),
    path("agents/<str:agent_id>/threads/<str:thread_id>", AgentThreads.as_view({"get": "retrieve"})),
    path(
        "agents/<str:agent_id>/threads/<str:thread_id>/invoke",
        awaiting(InvokeThread.as_view({"post": "create"})),
    ),
    path("budget", WorkspaceBudget.as_view(BUDGET)),
    path("usage", WorkspaceUsage.as_view({"get": "retrieve"})),
    path("workspaces", Workspaces.as_view({"get": "list"})),
    path("workspaces/<str:workspace_id>", Workspaces.as_view({"get": "retrieve", "patch": "partial_update"})),
    path("workspaces/<str:workspace_id>/members", Members.as_view({"get": "list", "post": "create"})),
    path(
        "workspaces/<str:workspace_id>/members/<str:user_id>",
        Members.as_view({"patch": "partial_update", "delete": "destroy"}),
    ),
    path("workspaces/<str:workspace_id>/invitations", Invitations.as_view({"get": "list"})),
    path("workspaces/<str:workspace_id>/invitations/<str:invitation_id>", Invitations.as_view({"delete": "destroy"})),
    path("invitations/accept", Acceptances.as_view({"post": "create"})),
    path("api_keys", ApiKeys.as_view({"get": "list", "post": "create"})),
    path(
        "api_keys/<str:key_id>",
        ApiKeys.as_view({"get": "retrieve", "patch": "partial_update", "delete": "destroy"}),
    ),
    path("api_keys/<str:key_id>/rotate", ApiKeys.as_view({"post": "rotate"})),
    path("end_users", EndUsers.as_view({"get": "list"})),
    path("chat_sessions", ChatSessions.as_view({"get": "list", "post": "create"})),
    path("chat_sessions/revoke", ChatSessionRevocations.as_view({"post": "revoke"})),
    path("chat_sessions/<str:chat_session_id>", ChatSessionDetail.as_view({"get": "retrieve", "delete": "destroy"})),
    path("chat_sessions/<str:chat_session_id>/refresh", ChatSessionTokens.as_view({"post": "refresh"})),
    path("chat_sessions/<str:chat_session_id>/claim", ChatSessionClaims.as_view({"post": "claim"})),
    path("chat_sessions/<str:chat_session_id>/threads", SessionThreads.as_view({"get": "list", "post": "create"})),
    path(
        "chat_sessions/<str:chat_session_id>/threads/<str:thread_id>",
        SessionThreads.as_view({"get": "retrieve", "delete": "destroy"}),
    ),
    path("chat_sessions/<str:chat_session_id>/threads/<str:thread_id>/", include(under_thread(visitors=True))),
    path("approvals", Approvals.as_view({"get": "list"})),
    path("approvals/<str:approval_id>", Approvals.as_view({"get": "retrieve"})),
    path("approvals/<str:approval_id>/approve", Approvals.as_view({"post": "approve"})),
    path("approvals/<str:approval_id>/refuse", Approvals.as_view({"post": "refuse"})),
    path("audit_events", AuditEvents.as_view({"get": "list"})),
    path("access_alerts", AccessAlerts.as_view({"get": "list"})),
    path("holds", Holds.as_view({"get": "list", "post": "create"})),
    path("holds/<str:hold_id>", Holds.as_view({"get": "retrieve"})),
    path("holds/<str:hold_id>/release", Holds.as_view({"post": "release"})),
    path("exports", Exports.as_view({"get": "list", "post": "create"})),
    path("exports/<str:export_id>", Exports.as_view({"get": "retrieve"})),
    path("exports/<str:export_id>/download", Exports.as_view({"get": "download"})),
    path("erasures", Erasures.as_view({"get": "list", "post": "create"})),
    path("erasures/<str:erasure_id>", Erasures.as_view({"get": "retrieve"})),
    path("erasures/<str:erasure_id>/confirm", Erasures.as_view({"post": "confirm"})),
    path("retention_policies", RetentionPolicies.as_view({"get": "list", "post": "create"})),
    path("retention_policies/<str:policy_id>", RetentionPolicies.as_view(POLICY)),
    path("retention_policies/<str:policy_id>/preview", RetentionPolicies.as_view({"post": "preview"})),
    path("retention_policies/<str:policy_id>/enable", RetentionPolicies.as_view({"post": "enable"})),
    path("retention_policies/<str:policy_id>/disable", RetentionPolicies.as_view({"post": "disable"})),
    path("retention_settings", RetentionPreferences.as_view({"get": "retrieve", "patch": "partial_update"})),
    path("search", Search.as_view({"get": "list"})),
    path("tools", Tools.as_view({"get": "list", "post": "create"})),
    path("tools/<str:tool_id>", Tools.as_view({"get": "retrieve", "patch": "partial_update", "delete": "destroy"})),
]
