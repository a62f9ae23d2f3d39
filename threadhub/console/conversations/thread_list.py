"""The list of threads: newest first by key, every filter by an index, hits highlighted."""

from collections.abc import Sequence
from typing import Any

from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from threadhub.console import display, rights, search_terms, thread_search
from threadhub.console.base import ConsoleAdmin, column
from threadhub.console.conversations import marks
from threadhub.console.conversations.filters import (
    ActivityFilter,
    AssigneeFilter,
    HandledFilter,
    LabelFilter,
    RatingFilter,
    StateFilter,
    ToolFilter,
)
from threadhub.console.conversations.marks import Marks
from threadhub.console.filters import AgentFilter, CreatedFilter, ExternalRefFilter, UserFilter, WorkspaceFilter
from threadhub.console.lists import KeysetChangeList
from threadhub.console.retention.held import HeldFilter
from threadhub.workspaces.permissions import Permission
from threads import reading
from threads.lifecycle.holds import Covered
from threads.models import Thread

# Filters that are served by the indexes on the time of making.
IN_TIME = ("workspace", "agent", "created_from", "created_to", "active_from", "active_to")
TOO_MANY = (
    f"Many say this: the newest {thread_search.MESSAGES:,} messages and {thread_search.CANDIDATES:,} titles that"
    " do were looked at."
)
TITLES = "The titles took too long to look through, and were left out."
ARCHIVED = "Of archived threads titles and references are searched, not what was said."
CLOSED = "Where a reason is asked before anybody reads, titles and references are searched, not what was said."
NOT_ALL = "Messages since {} were looked through; older ones may say this too. Rarer words are found in all of them."
# What a row shows and is told by; of the agent above all not the instructions.
READ = (
    "workspace__name", "agent__name", "user__username", "external_ref", "title",
    "metadata", "state", "origin", "message_count", "created_at", "last_activity_at", "pinned", "exempt_until",
    "archived_at", "trashed_at", "purge_after", "taken_over_at", "taken_over_by_id", "assignee_id", "labels",
)  # fmt: skip
SOON = 7  # days before the end that a badge turns to a warning


class ThreadChangeList(KeysetChangeList):
    """The page's rows with their marks."""

    def get_queryset(self, request: HttpRequest, exclude_parameters: Any = None) -> QuerySet[Any]:
        found: QuerySet[Any] = super().get_queryset(request, exclude_parameters)
        return found.select_related(None).select_related("agent", "workspace", "user").only(*READ)

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        held, found = rights.of(request), request.__dict__.get("_found")
        self.note = _bounds(found) if found else ""
        self.nothing = "The trash is empty" if request.GET.dict() == {"state": Thread.State.TRASHED} else ""
        told = marks.of(
            self.result_list,
            term=self.query,
            found_in=found.messages if found else {},
            retention_in=lambda workspace_id: held.may(Permission.RETENTION_READ, workspace_id),
            now=timezone.now(),
        )
        # An excerpt is of the conversation: whoever is shown one has read there.
        shown = [thread for thread in self.result_list if thread.pk in told.hits]
        reading.note_by_staff(user_id=request.user.pk, threads=shown)
        wanted = search_terms.read(self.query).wanted
        for thread in self.result_list:
            thread.marks = told
            thread.wanted = wanted


class UnseenChangeList(ThreadChangeList):
    """The list as it was asked for, without a page of it: nobody is shown its rows."""

    def get_results(self, request: HttpRequest) -> None:
        self.result_list = []


class ThreadList(ConsoleAdmin):
    """The list's half of the page of threads."""

    reading = Permission.THREAD_READ_ALL
    newest_by_workspace = True
    list_display = (
        "titled", "agent_name", "who", "reference", "state_label", "messages", "rating", "expiry", "active",
    )  # fmt: skip
    list_filter = (
        AgentFilter, WorkspaceFilter, StateFilter, HandledFilter, AssigneeFilter, RatingFilter, ToolFilter, HeldFilter,
        CreatedFilter, ActivityFilter, UserFilter, ExternalRefFilter, LabelFilter,
    )  # fmt: skip
    list_select_related = ("agent", "workspace", "user")
    search_help_text = "Words of titles and messages, the beginning of a reference, or an id"

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[KeysetChangeList]:
        return ThreadChangeList

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        related = ("agent", "workspace", "user", "chat_session")
        shown = super().get_queryset(request).exclude(state=Thread.State.TEMPORARY).select_related(*related)
        told: QuerySet[Any] = shown.annotate(held=Covered())
        return told

    def get_list_display(self, request: HttpRequest) -> Sequence[str]:
        """Of the trash: since when, and until when."""
        if request.GET.get("state") == Thread.State.TRASHED:
            return (*self.list_display[:4], "trashed", "purged")
        return self.list_display

    def ordered_by_time(self, request: HttpRequest) -> bool:
        """Within workspaces, or between two days, by time, on indexes; else by id, on the primary key."""
        named = any(request.GET.get(name) for name in IN_TIME)
        return (named or super().ordered_by_time(request)) and not request.GET.get("q")

    def find(self, request: HttpRequest, queryset: QuerySet[Any], term: str) -> QuerySet[Any]:
        workspaces = rights.of(request).workspaces(self.reading)
        found = thread_search.find(threads=queryset, workspaces=workspaces, term=term)
        request.__dict__["_found"] = found
        return found.threads

    @column("Title")
    def titled(self, thread: Any) -> SafeString:
        shown = display.shortened(thread.title)
        title = (
            marks.marked(shown, thread.wanted) if shown else format_html('<span class="th-muted">{}</span>', "Untitled")
        )
        hit = _marks(thread).hits.get(thread.pk)
        if not (hit or thread.labels):
            return title
        labels = format_html_join("", ' <span class="th-label">{}</span>', ((each,) for each in thread.labels))
        said = format_html('<span class="th-excerpt">{}</span>', hit) if hit else ""
        return format_html("{}{}{}", title, labels, said)

    @column("Agent")
    def agent_name(self, thread: Any) -> SafeString:
        names = display.shortened(thread.agent.name, 40), display.shortened(thread.workspace.name, 40)
        return format_html('{}<span class="th-below">{}</span>', *names)

    @column("User")
    def who(self, thread: Any) -> SafeString | str:
        if thread.pk in _marks(thread).askers:
            return display.shortened(_marks(thread).askers[thread.pk], 40)
        return format_html('<span class="th-muted">{}</span>', "Visitor")

    @column("External ref")
    def reference(self, thread: Any) -> SafeString | str:
        if thread.external_ref is None:
            return display.NONE
        return marks.marked(display.shortened(thread.external_ref, 40), thread.wanted)

    @column("State")
    def state_label(self, thread: Any) -> SafeString:
        badges = [display.badge(thread.state, thread.get_state_display())]
        if getattr(thread, "held", False):
            badges.append(display.badge("held", "On hold"))
        if thread.pinned:
            badges.append(display.badge("pinned", "Pinned"))
        people = _marks(thread).people
        if thread.taken_over:
            badges.append(display.badge("person", f"With {people.get(thread.taken_over_by_id, 'a person')}"))
        elif thread.assignee_id is not None:
            badges.append(display.badge("assigned", f"For {people.get(thread.assignee_id, 'somebody')}"))
        return display.together(badges)

    @column("Messages")
    def messages(self, thread: Any) -> SafeString:
        """Where there is no heading, with what it counts."""
        noun = " message" if thread.message_count == 1 else " messages"
        return format_html('{}<span class="th-on-phones">{}</span>', f"{thread.message_count:,}", noun)

    @column("Rating")
    def rating(self, thread: Any) -> SafeString | str:
        return marks.rating_badges(_marks(thread).ratings.get(thread.pk, (0, 0)))

    @column("Expires")
    def expiry(self, thread: Any) -> SafeString | str:
        outlook = _marks(thread).outlooks.get(thread.pk)
        if outlook is None or outlook.held or outlook.at is None:
            return display.NONE
        days = (outlook.at - timezone.now()).days
        verbs = {"archive": "Archived", "trash": "Trashed", "purge": "Destroyed"}
        when = "soon" if days < 1 else f"in {days:,} d"
        kind = "soon" if days < SOON else "later"
        return display.badge(kind, f"{verbs.get(outlook.action or '', 'Ends')} {when}")

    @column("Last activity")
    def active(self, thread: Any) -> SafeString | str:
        return display.moment(thread.last_activity_at or thread.created_at)

    @column("In the trash since")
    def trashed(self, thread: Any) -> SafeString | str:
        return display.moment(thread.trashed_at)

    @column("Destroyed after")
    def purged(self, thread: Any) -> SafeString | str:
        held = getattr(thread, "held", False)
        return display.badge("held", "On hold") if held else display.moment(thread.purge_after)


def _bounds(found: thread_search.Found) -> SafeString | str:
    """What of a search was not looked at."""
    told = {
        TOO_MANY: found.capped,
        TITLES: not found.titles,
        format_html(NOT_ALL, display.moment(found.since)): found.since,
        CLOSED: found.beside_closed,
        ARCHIVED: found.beside_archived,
    }
    return format_html_join(" ", "{}", ((each,) for each, is_so in told.items() if is_so))


def _marks(thread: Any) -> Marks:
    known: Marks = thread.marks
    return known
