"""Chat sessions in the staff console: read, and ended."""

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone

from chat_sessions import endings
from chat_sessions.models import ChatSession
from threadhub.console import display
from threadhub.console.base import ConsoleAdmin, column, created, shown_id
from threadhub.console.deeds import Deed
from threadhub.console.filters import AgentFilter, CreatedFilter, ExternalRefFilter, WorkspaceFilter, decoded
from threadhub.workspaces.models import Workspace
from threadhub.workspaces.permissions import Permission

ENDS: dict[str, str] = {
    ChatSession.EndReason.LOGGED_OUT: "Logged out",
    ChatSession.EndReason.EXPIRED: "Expired",
    ChatSession.EndReason.IDLE: "Idle for too long",
    ChatSession.EndReason.REFRESH_REUSED: "Ended: a token was copied",
}


@admin.register(ChatSession)
class ChatSessionAdmin(ConsoleAdmin):
    noun = "chat_session"
    reading = Permission.CHAT_SESSION_READ
    newest_by_workspace = True
    list_display = ("shown_id", "agent", "reference", "visitor", "state_label", "opened", "expires", "workspace")
    list_filter = (AgentFilter, WorkspaceFilter, CreatedFilter, ExternalRefFilter)
    list_select_related = ("agent", "workspace")
    search_help_text = "Id of a session or thread, or an external reference"
    fields = (
        ("shown_id", "state_label"),
        ("agent_link", "workspace"),
        ("reference", "first_thread"),
        ("visitor", "user", "page"),
        ("opened", "expires", "idle_expires"),
        ("ended", "claimed"),
        "about",
        "variables",
        "vectors",
    )
    readonly_fields = (
        "shown_id", "state_label", "agent_link", "workspace", "reference", "first_thread", "opened", "expires", "ended",
        "visitor", "user", "page", "idle_expires", "claimed", "about", "variables", "vectors",
    )  # fmt: skip
    shown_id = staticmethod(shown_id)
    opened = staticmethod(created)
    deeds = (
        Deed(
            name="end",
            title="End session",
            icon="logout",
            permission=Permission.CHAT_SESSION_WRITE,
            question=lambda session: "End this chat session?",
            consequence="Its visitor's tokens stop working at once, open answers are cut off. The threads stay.",
            done=lambda session: "The chat session has ended.",
            do=lambda actor, thing, now: endings.end(actor=actor, session=thing, now=now),
            applies=lambda session: session.ended_at is None,
        ),
    )

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> Any:
        """What the page says of its visitor is theirs: opening it leaves an event."""
        session = self.thing(request, object_id) if object_id is not None else None
        if session is not None and request.method in ("GET", "HEAD"):
            self.record(request, "read", session)
        return super().changeform_view(request, object_id, form_url, extra_context)

    def find(self, request: HttpRequest, queryset: QuerySet[Any], term: str) -> QuerySet[Any]:
        thread_id = decoded("thread", term)
        if thread_id is not None:
            return queryset.filter(threads__pk=thread_id)
        return queryset.filter(workspace__in=Workspace.objects.order_by().values("pk"), external_ref=term)

    @column("State")
    def state_label(self, session: ChatSession) -> str:
        if session.ended_at is not None:
            return display.badge("ended", ENDS.get(session.end_reason, "Ended"))
        living = session.idle_expires_at > timezone.now()
        return display.badge("open", "Open") if living else display.badge("past", "Expired")

    @column("Agent")
    def agent_link(self, session: ChatSession) -> str:
        return display.link(session.agent)

    @column("External ref")
    def reference(self, session: ChatSession) -> str:
        return display.shortened(session.external_ref, 60)

    @column("Visitor")
    def visitor(self, session: ChatSession) -> str:
        kind = "anonymous" if session.anonymous else "known"
        return f"{display.shortened(session.name, 40)} ({kind})" if session.name else kind

    @column("Opened by")
    def page(self, session: ChatSession) -> str:
        return session.origin or "a server"

    @column("Expires when idle")
    def idle_expires(self, session: ChatSession) -> str:
        return display.moment(session.idle_expires_at)

    @column("Claimed")
    def claimed(self, session: ChatSession) -> str:
        return display.moment(session.claimed_at)

    @column("What the page says of the visitor")
    def about(self, session: ChatSession) -> str:
        return display.json_block(session.metadata)

    @column("First thread")
    def first_thread(self, session: ChatSession) -> str:
        thread = session.threads.order_by("created_at", "pk").first()
        return display.link(thread, display.shortened(thread.title) or thread.wire_id) if thread else "–"

    @column("Expires")
    def expires(self, session: ChatSession) -> str:
        return display.moment(session.expires_at)

    @column("Ended")
    def ended(self, session: ChatSession) -> str:
        return display.moment(session.ended_at)

    @column("Variables of the instructions")
    def variables(self, session: ChatSession) -> str:
        return display.json_block(session.system_prompt_variables)

    @column("Allowed vectors")
    def vectors(self, session: ChatSession) -> str:
        return display.json_block(session.allowed_vectors)
