"""Runs and approvals in the staff console. Threads have a room of their own, threadhub/console/conversations."""

from typing import Any
from uuid import UUID

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.shortcuts import redirect

from threadhub.console import display, identities
from threadhub.console.base import ConsoleAdmin, column, shown_id
from threadhub.console.conversations import reasons
from threadhub.console.deeds import Deed
from threadhub.console.filters import AgentFilter, CreatedFilter, OptionFilter, WorkspaceFilter, by_column, decoded
from threadhub.workspaces.permissions import Permission
from threads import reading
from threads.actions import approvals
from threads.models import Run, Thread, ToolApproval
from threads.runs import end

CLOSED = "console_closed"  # of a listed approval: its reader has not said why


class RunStateFilter(OptionFilter):
    title = "Status"
    names = ("state",)

    def options(self) -> list[tuple[str, str]]:
        return [("live", "Queued or running"), *((value, str(label)) for value, label in Run.Status.choices)]

    def chosen(self, value: str, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if value == "live":
            return queryset.filter(status__in=Run.LIVE)
        known = value in Run.Status.values
        return queryset.filter(status=value) if known else queryset.none()


@admin.register(Run)
class RunAdmin(ConsoleAdmin):
    reading = Permission.THREAD_READ_ALL
    newest_by_workspace = True
    list_display = ("asked", "status_label", "thread_title", "agent", "model_used", "tokens", "error")
    list_filter = (RunStateFilter, AgentFilter, WorkspaceFilter, CreatedFilter)
    list_select_related = ("agent", "thread")
    search_help_text = "Id of a run or of its thread"
    fields = (
        ("shown_id", "status_label"),
        ("thread_link", "agent_link"),
        ("model_used", "tokens"),
        ("asked", "started", "finished"),
        "error",
        "tools",
        "options_block",
    )
    readonly_fields = (
        "shown_id", "status_label", "thread_link", "agent_link", "model_used", "tokens", "asked", "started", "finished",
        "error", "tools", "options_block",
    )  # fmt: skip
    shown_id = staticmethod(shown_id)
    deeds = (
        Deed(
            name="cancel",
            title="Cancel run",
            icon="cancel",
            permission=Permission.AGENT_INVOKE,
            question=lambda run: "Cancel this run?",
            consequence="The agent stops. What it has said so far stays in the thread, marked as cut short.",
            done=lambda run: "The run is cancelled.",
            do=lambda actor, thing, now: end.cancel(actor=actor, run=thing, now=now),
            applies=lambda run: run.live or run.waiting,
        ),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        shown = super().get_queryset(request).exclude(thread__state=Thread.State.TEMPORARY)
        return shown.select_related("agent", "thread")

    def find(self, request: HttpRequest, queryset: QuerySet[Any], term: str) -> QuerySet[Any]:
        pk: UUID | None = decoded(Thread.PREFIX, term)
        return queryset.filter(thread_id=pk) if pk else queryset.none()

    @column("Status")
    def status_label(self, run: Run) -> str:
        return display.badge(run.status, run.get_status_display())

    @column("Thread")
    def thread_title(self, run: Run) -> str:
        return display.shortened(run.thread.title, 50) or "Untitled"

    @column("Thread")
    def thread_link(self, run: Run) -> str:
        return display.link(run.thread, display.shortened(run.thread.title) or "Untitled")

    @column("Agent")
    def agent_link(self, run: Run) -> str:
        return display.link(run.agent)

    @column("Model")
    def model_used(self, run: Run) -> str:
        return " · ".join(part for part in (run.provider, run.model) if part) or "–"

    @column("Tokens in, out")
    def tokens(self, run: Run) -> str:
        if run.input_tokens is None:
            return "–"
        cost = "" if run.unpriced else display.money(run.cost)
        return " · ".join(filter(None, [f"{run.input_tokens:,} → {run.output_tokens or 0:,}", cost]))

    @column("Asked")
    def asked(self, run: Run) -> str:
        return display.moment(run.created_at)

    @column("Started")
    def started(self, run: Run) -> str:
        return display.moment(run.started_at)

    @column("Finished")
    def finished(self, run: Run) -> str:
        return display.moment(run.finished_at)

    @column("Error")
    def error(self, run: Run) -> str:
        return ": ".join(part for part in (run.error_code, display.shortened(run.error_message, 200)) if part) or "–"

    @column("Tools asked for")
    def tools(self, run: Run) -> str:
        return "All of the agent" if run.enabled_tools is None else display.json_block(run.enabled_tools)

    @column("Options")
    def options_block(self, run: Run) -> str:
        return display.json_block(run.options)


def _is_pending(approval: Any) -> bool:
    return bool(approval.status == ToolApproval.Status.PENDING)


@admin.register(ToolApproval)
class ToolApprovalAdmin(ConsoleAdmin):
    reading = Permission.THREAD_READ_ALL
    newest_by_workspace = True
    list_display = ("asked", "status_label", "tool_name", "wanted", "thread_title", "until", "workspace")
    list_filter = (by_column("status", "Status"), WorkspaceFilter)
    list_select_related = ("thread", "workspace")
    search_help_text = "Tool, or id of an approval or of its thread"
    fields = (
        ("shown_id", "status_label"),
        ("thread_link", "run_link"),
        ("tool_name", "tool_call_id"),
        "arguments_block",
        ("asked", "until"),
        ("decided", "decider"),
        "reason",
    )
    readonly_fields = (
        "shown_id", "status_label", "thread_link", "run_link", "tool_name", "tool_call_id", "arguments_block", "asked",
        "until", "decided", "decider", "reason",
    )  # fmt: skip
    shown_id = staticmethod(shown_id)
    deeds = (
        Deed(
            name="approve",
            title="Approve call",
            icon="check_circle",
            permission=Permission.TOOL_APPROVE,
            question=lambda approval: f"Let the agent call “{approval.tool_name}” with exactly these arguments?",
            consequence="The call is made at once, and only once. It cannot be taken back.",
            done=lambda approval: f"The call of “{approval.tool_name}” is approved.",
            do=lambda actor, thing, now: approvals.approve(actor=actor, approval=thing, now=now),
            applies=_is_pending,
        ),
        Deed(
            name="refuse",
            title="Refuse call",
            icon="block",
            permission=Permission.TOOL_APPROVE,
            question=lambda approval: f"Refuse the call of “{approval.tool_name}”?",
            consequence="The call is not made. The agent is told so, and answers without it.",
            done=lambda approval: f"The call of “{approval.tool_name}” is refused.",
            do=lambda actor, thing, now: approvals.refuse(actor=actor, approval=thing, now=now),
            applies=_is_pending,
        ),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        shown = super().get_queryset(request).filter(thread__state__in=(Thread.State.ACTIVE, Thread.State.ARCHIVED))
        return shown.select_related("thread", "run", "workspace")

    def find(self, request: HttpRequest, queryset: QuerySet[Any], term: str) -> QuerySet[Any]:
        pk: UUID | None = decoded(Thread.PREFIX, term)
        return queryset.filter(thread_id=pk) if pk else queryset.filter(tool_name=term)

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        """Arguments of calls are words of the conversation: whoever looks through the list reads in these threads, and
        sees none where a reason is wanted first."""
        answer = super().changelist_view(request, extra_context)
        listed = getattr(answer, "context_data", None) or {}
        if "cl" in listed:
            approvals_listed = listed["cl"].result_list
            for each in approvals_listed:
                vars(each)[CLOSED] = self._is_closed(request, each)
            shown = [each.thread for each in approvals_listed if not vars(each)[CLOSED]]
            reading.note_by_staff(user_id=request.user.pk, threads=shown)
        return answer

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> Any:
        approval = self.thing(request, object_id) if object_id is not None else None
        if approval is not None and self._is_closed(request, approval):
            self.message_user(request, "Say why you read this conversation. Its approvals are open to you then.")
            return redirect("admin:threads_thread_change", approval.thread.wire_id)
        if approval is not None and request.method in ("GET", "HEAD"):
            reading.note_by_staff(user_id=request.user.pk, threads=[approval.thread])
        return super().changeform_view(request, object_id, form_url, extra_context)

    @column("Status")
    def status_label(self, approval: ToolApproval) -> str:
        return display.badge(approval.status, approval.get_status_display())

    def _is_closed(self, request: HttpRequest, approval: ToolApproval) -> bool:
        """Whether a reason is wanted before anything of its conversation is read."""
        approval.thread.workspace = approval.workspace  # the same, and read already
        return reasons.given(request, approval.thread) is None

    @column("Arguments")
    def wanted(self, approval: ToolApproval) -> str:
        return "Open to say why you read" if vars(approval).get(CLOSED) else display.shortened(approval.arguments, 60)

    @column("Arguments")
    def arguments_block(self, approval: ToolApproval) -> str:
        return display.json_block(approval.arguments_read)

    @column("Thread")
    def thread_title(self, approval: ToolApproval) -> str:
        return display.shortened(approval.thread.title, 50) or "Untitled"

    @column("Thread")
    def thread_link(self, approval: ToolApproval) -> str:
        return display.link(approval.thread, display.shortened(approval.thread.title) or "Untitled")

    @column("Run")
    def run_link(self, approval: ToolApproval) -> str:
        return display.link(approval.run, approval.run.wire_id)

    @column("Asked")
    def asked(self, approval: ToolApproval) -> str:
        return display.moment(approval.created_at)

    @column("Expires")
    def until(self, approval: ToolApproval) -> str:
        return display.moment(approval.expires_at)

    @column("Decided")
    def decided(self, approval: ToolApproval) -> str:
        return display.moment(approval.decided_at)

    @column("By")
    def decider(self, approval: ToolApproval) -> str:
        return identities.name(approval.decided_by) or "–"
