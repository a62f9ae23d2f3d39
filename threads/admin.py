"""Threads and runs in the staff console: read as conversations, changed only by domain actions."""

from typing import Any
from uuid import UUID

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.http import content_disposition_header

from threadhub import audit
from threadhub.audit import watching
from threadhub.console import display, rights, thread_search, transcript
from threadhub.console.base import ConsoleAdmin, column, shown_id
from threadhub.console.deeds import Deed
from threadhub.console.filters import (
    AgentFilter,
    CreatedFilter,
    ExternalRefFilter,
    OptionFilter,
    UserFilter,
    WorkspaceFilter,
    decoded,
)
from threadhub.console.retention import thread_deeds, words
from threadhub.console.retention.held import Covered, HeldFilter
from threadhub.workspaces.permissions import Permission
from threads import access, reading
from threads.access import BranchNotFound
from threads.actions import approvals
from threads.lifecycle.bundles.verify import Damaged
from threads.lifecycle.expiry import Expiry
from threads.models import Attachment, Run, Thread, ToolApproval
from threads.runs import end

# A file of a message opens in a page that can do nothing.
FILE_POLICY = "default-src 'none'; style-src 'unsafe-inline'; sandbox"


class StateFilter(OptionFilter):
    title = "State"
    names = ("state",)

    def options(self) -> list[tuple[str, str]]:
        hidden = Thread.State.TEMPORARY
        return [(value, str(label)) for value, label in Thread.State.choices if value != hidden]


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


@admin.register(Thread)
class ThreadAdmin(ConsoleAdmin):
    reading = Permission.THREAD_READ_ALL
    list_display = ("titled", "agent_name", "who", "reference", "state_label", "messages", "active", "workspace")
    list_filter = (AgentFilter, WorkspaceFilter, StateFilter, HeldFilter, CreatedFilter, UserFilter, ExternalRefFilter)
    list_select_related = ("agent", "workspace", "user")
    search_help_text = "Title, reference, words of messages, or an id"
    deeds = thread_deeds.DEEDS

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        related = ("agent", "workspace", "user", "chat_session")
        shown = super().get_queryset(request).exclude(state=Thread.State.TEMPORARY).select_related(*related)
        told: QuerySet[Any] = shown.annotate(held=Covered())
        return told

    def get_list_display(self, request: HttpRequest) -> tuple[str, ...]:
        """Of the trash: since when, and until when."""
        if request.GET.get("state") == Thread.State.TRASHED:
            return (*self.list_display[:4], "trashed", "purged", "workspace")
        return self.list_display

    def ordered_by_time(self, request: HttpRequest) -> bool:
        """Within one workspace by time, on its index; over several by id, on the primary key."""
        return bool(request.GET.get("workspace") or request.GET.get("agent")) and not request.GET.get("q")

    def find(self, request: HttpRequest, queryset: QuerySet[Any], term: str) -> QuerySet[Any]:
        workspaces = rights.of(request).workspaces(self.reading)
        return thread_search.find(threads=queryset, workspaces=workspaces, term=term)

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> Any:
        """The thread as a conversation. There is nothing to fill in and nothing to save."""
        if object_id is None or request.method not in ("GET", "HEAD"):
            raise PermissionDenied
        thread = self.thing(request, object_id)
        if thread is None:
            return self._get_obj_does_not_exist_redirect(request, self.opts, object_id)
        self.record(request, "read", thread)
        watching.read(actor=audit.By(f"user:{request.user.pk}", thread.workspace_id))
        try:
            turned_to = transcript.branches_of(thread=thread, number=_position(request.GET.get("branch")))
        except BranchNotFound:
            raise Http404 from None
        damage = ""
        try:
            shown = transcript.window(
                thread=thread,
                branch=turned_to.shown,
                before=_position(request.GET.get("before")),
                after=_position(request.GET.get("after")),
            )
        except Damaged as error:
            shown, damage = transcript.Transcript([], None, None, False), error.message
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": display.shortened(thread.title, 120) or "Untitled thread",
            "thread": thread,
            "original": thread,
            "transcript": shown,
            "branches": turned_to,
            "damage": damage,
            **self._outlook(request, thread),
            "opens_at_end": bool(shown.older) and not request.GET,
            "metadata": display.pretty(thread.metadata) if thread.metadata else "",
            "actions_detail": self.deeds_of(request, thread),
            "history_url": reverse("admin:threads_thread_history", args=(thread.wire_id,)),
            "is_fullwidth": "1",
        }
        return TemplateResponse(request, "console/thread.html", context)

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.file_view)
        return [path("<str:object_id>/files/<str:file_id>", view, name="threads_thread_file"), *super().get_urls()]

    def file_view(self, request: HttpRequest, object_id: str, file_id: str) -> HttpResponse:
        """A file of a message: pictures in the page, everything else as a download."""
        thread = self.thing(request, object_id)
        pk = decoded(Attachment.PREFIX, file_id)
        if thread is None or pk is None:
            raise Http404
        try:
            attachment = access.get_attachment(thread=thread, attachment_id=pk)
        except (access.AttachmentNotFound, Damaged) as error:
            raise Http404 from error
        self.record(request, "read", thread, {"file": attachment.wire_id})
        try:
            with attachment.file.open("rb") as file:
                answer = HttpResponse(file.read(), content_type=attachment.content_type)
        except FileNotFoundError as error:
            raise Http404 from error
        shown = attachment.content_type in transcript.PICTURES
        answer.headers["Content-Disposition"] = content_disposition_header(not shown, attachment.filename) or ""
        answer.headers["Content-Security-Policy"] = FILE_POLICY
        return answer

    @column("Title")
    def titled(self, thread: Thread) -> str:
        title = display.shortened(thread.title)
        return title or format_html('<span class="th-muted">{}</span>', "Untitled")

    @column("Agent")
    def agent_name(self, thread: Thread) -> str:
        return display.shortened(thread.agent.name, 40)

    @column("User")
    def who(self, thread: Thread) -> str:
        if thread.user is not None:
            return display.shortened(thread.user.get_username(), 40)
        return format_html('<span class="th-muted">{}</span>', "Visitor")

    @column("External ref")
    def reference(self, thread: Thread) -> str:
        return "–" if thread.external_ref is None else display.shortened(thread.external_ref, 40)

    @column("State")
    def state_label(self, thread: Thread) -> str:
        state = display.badge(thread.state, thread.get_state_display())
        held = getattr(thread, "held", False)
        return format_html("{} {}", state, display.badge("held", "On hold")) if held else state

    @column("Messages")
    def messages(self, thread: Thread) -> str:
        return f"{thread.message_count:,}"

    @column("Last activity")
    def active(self, thread: Thread) -> str:
        return display.moment(thread.last_activity_at or thread.created_at)

    @column("In the trash since")
    def trashed(self, thread: Thread) -> str:
        return display.moment(thread.trashed_at)

    @column("Destroyed after")
    def purged(self, thread: Thread) -> str:
        held = getattr(thread, "held", False)
        return display.badge("held", "On hold") if held else display.moment(thread.purge_after)

    def _outlook(self, request: HttpRequest, thread: Thread) -> dict[str, Any]:
        """What becomes of the thread, for those who may see policies and holds."""
        told = {}
        if rights.of(request).may(Permission.RETENTION_READ, thread.workspace_id):
            outlook = Expiry(workspace_id=thread.workspace_id, now=timezone.now()).of(thread)
            told = {"outlook": outlook, "becomes": words.DONE.get(outlook.action or "", "")}
        may_hold = rights.of(request).may(Permission.HOLD_WRITE, thread.workspace_id)
        return {**told, "held": thread.held, "may_hold": may_hold}  # type: ignore[attr-defined]


@admin.register(Run)
class RunAdmin(ConsoleAdmin):
    reading = Permission.THREAD_READ_ALL
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


class ApprovalStatusFilter(OptionFilter):
    title = "Status"
    names = ("status",)

    def options(self) -> list[tuple[str, str]]:
        return [(value, str(label)) for value, label in ToolApproval.Status.choices]


def _is_pending(approval: Any) -> bool:
    return bool(approval.status == ToolApproval.Status.PENDING)


@admin.register(ToolApproval)
class ToolApprovalAdmin(ConsoleAdmin):
    reading = Permission.THREAD_READ_ALL
    list_display = ("asked", "status_label", "tool_name", "wanted", "thread_title", "until", "workspace")
    list_filter = (ApprovalStatusFilter, WorkspaceFilter)
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

    def ordered_by_time(self, request: HttpRequest) -> bool:
        return bool(request.GET.get("workspace"))

    def find(self, request: HttpRequest, queryset: QuerySet[Any], term: str) -> QuerySet[Any]:
        pk: UUID | None = decoded(Thread.PREFIX, term)
        return queryset.filter(thread_id=pk) if pk else queryset.filter(tool_name=term)

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        """Arguments of calls are words of the conversation: whoever looks through the list reads in these threads."""
        answer = super().changelist_view(request, extra_context)
        listed = getattr(answer, "context_data", None) or {}
        if "cl" in listed:
            reading.note_by_staff(user_id=request.user.pk, threads=[each.thread for each in listed["cl"].result_list])
        return answer

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> Any:
        approval = self.thing(request, object_id) if object_id is not None else None
        if approval is not None and request.method in ("GET", "HEAD"):
            reading.note_by_staff(user_id=request.user.pk, threads=[approval.thread])
        return super().changeform_view(request, object_id, form_url, extra_context)

    @column("Status")
    def status_label(self, approval: ToolApproval) -> str:
        return display.badge(approval.status, approval.get_status_display())

    @column("Arguments")
    def wanted(self, approval: ToolApproval) -> str:
        return display.shortened(approval.arguments, 60)

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
        return approval.decided_by or "–"


def _position(text: str | None) -> int | None:
    """A position from a link; None for anything else."""
    return int(text) if text and text.isascii() and text.isdigit() and len(text) <= 9 else None
