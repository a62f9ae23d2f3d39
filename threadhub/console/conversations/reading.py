"""A thread as a page to read: a window of the conversation at a time, live while something goes on in it.

Every way to its words goes through `_opened`: who may read, why where the workspace asks, and that they did.
"""

from typing import Any

from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.views.main import PAGE_VAR
from django.core.exceptions import PermissionDenied, SuspiciousOperation
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.template.loader import render_to_string
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.http import content_disposition_header

from threadhub import audit
from threadhub.audit import watching
from threadhub.console import display, identities, keyset, rights, transcript
from threadhub.console.came_from import CameFrom
from threadhub.console.conversations import looking, reasons, ways_on
from threadhub.console.conversations.thread_list import ThreadList, UnseenChangeList
from threadhub.console.filters import decoded
from threadhub.console.lists import KeysetChangeList
from threadhub.console.retention import words
from threadhub.workspaces.permissions import Permission
from threads import access
from threads.access import BranchNotFound
from threads.lifecycle.bundles.verify import Damaged
from threads.lifecycle.expiry import Expiry
from threads.models import Attachment, Run, Thread
from threads.reading import ONCE_IN

# A file of a message opens in a page that can do nothing.
FILE_POLICY = "default-src 'none'; style-src 'unsafe-inline'; sandbox"
TAIL = 200  # messages of the newest window at most, while it grows before the reader's eyes
LOOKS = 5  # pages that are looked through for the next thread, where no index finds it
NOT_READ = "A reason is needed before this conversation can be read."


class ThreadReading(ThreadList):
    """The page's half of the page of threads."""

    has_form = False

    def get_urls(self) -> list[URLPattern]:
        views = {
            "files/<str:file_id>": (self.file_view, "file"),
            "window/": (self.window_view, "window"),
            "live/": (self.live_view, "live"),
            "find/": (self.find_view, "find"),
            "step/<str:way>/": (self.step_view, "step"),
            "reason/": (self.reason_view, "reason"),
        }
        own = [
            path(f"<str:object_id>/{address}", self.admin_site.admin_view(view), name=f"threads_thread_{name}")
            for address, (view, name) in views.items()
        ]
        return [*own, *super().get_urls()]

    def page(self, request: HttpRequest, thread: Thread) -> HttpResponseBase:
        """The thread as a conversation."""
        reason = reasons.given(request, thread)
        if reason is None:
            return self._ask_reason(request, thread, reasons.ReasonForm())
        self.record(request, "read", thread, {"reason": reason} if reason else None)
        watching.read(actor=self._reader(request, thread))
        # Before the window: what comes between is looked up again.
        state = _state(thread, looking.live_run(thread=thread))
        context = {**self._around(request, thread), **self._window(request, thread), **self.desk_of(request, thread)}
        context["state"] = state
        return TemplateResponse(request, "console/thread.html", context)

    def desk_of(self, request: HttpRequest, thread: Thread) -> dict[str, Any]:
        """What staff can do beside reading; none here."""
        return {}

    # --- pieces of the page

    def window_view(self, request: HttpRequest, object_id: str) -> HttpResponseBase:
        """Another window of the conversation, as a piece of the page."""
        thread = self._opened(request, object_id)
        tail = request.GET.get("tail") == "1"
        context = self._window(request, thread, size=TAIL if tail else transcript.SIZE)
        return HttpResponse(render_to_string("console/window.html", {"thread": thread, **context}, request=request))

    def live_view(self, request: HttpRequest, object_id: str) -> HttpResponseBase:
        """What goes on now."""
        thread = self._opened(request, object_id, counted=False)
        now = looking.live(thread=thread)
        run = now.run
        if now.text:
            self._note(request, thread)
        return JsonResponse(
            {
                "state": _state(thread, run),
                "title": _title(thread),
                "counts": {"last": f"{thread.last_position:,}", "messages": f"{thread.message_count:,}"},
                "desk": f"{thread.taken_over_by_id}",
                "live": run is not None,
                "waits": now.waits_for_person,
                "status": run.get_status_display() if run else "",
                "text": now.text[-transcript.LIVE_SHOWN :],
            },
            headers={"Cache-Control": "no-store"},
        )

    def find_view(self, request: HttpRequest, object_id: str) -> HttpResponseBase:
        """Where in the thread some words stand."""
        thread = self._opened(request, object_id)
        turned_to = self._turned_to(request, thread)
        try:
            hits = looking.find(thread=thread, path=turned_to.path, term=request.GET.get("q", "")[:200])
        except Damaged:
            hits = []
        context = {**self._links(request, turned_to), "hits": hits, "most": looking.HITS}
        context["term"] = request.GET.get("q", "")
        return HttpResponse(render_to_string("console/hits.html", context, request=request))

    def file_view(self, request: HttpRequest, object_id: str, file_id: str) -> HttpResponse:
        """A file of a message: pictures in the page, everything else as a download."""
        thread = self._opened(request, object_id)
        pk = decoded(Attachment.PREFIX, file_id)
        if pk is None:
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

    # --- ways to and from the page

    def step_view(self, request: HttpRequest, object_id: str, way: str) -> HttpResponseBase:
        """On to the neighbour in the list that the page was opened from: `older` or `newer`."""
        thread = self.thing(request, object_id)
        if thread is None or way not in ("older", "newer"):
            raise Http404
        came_from = CameFrom.of(request)
        neighbour = self._neighbour(request, thread, way, came_from)
        if neighbour is None:
            return redirect(came_from.on(self.address_of(thread), end=way))
        return redirect(came_from.on(self.address_of(neighbour)))

    def reason_view(self, request: HttpRequest, object_id: str) -> HttpResponseBase:
        """Keep why they read, and let them in."""
        thread = self.thing(request, object_id)
        if thread is None:
            raise Http404
        page = _asked_alike(request, self.address_of(thread))
        if request.method != "POST":
            return redirect(page)
        form = reasons.ReasonForm(request.POST)
        if not form.is_valid():
            return self._ask_reason(request, thread, form)
        reasons.keep(request, thread, form.cleaned_data["reason"])
        return redirect(page)

    def _ask_reason(self, request: HttpRequest, thread: Thread, form: reasons.ReasonForm) -> HttpResponse:
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": "Reason for reading",
            "original": thread,
            "thread": thread,
            "form": form,
            "action": _asked_alike(request, reverse("admin:threads_thread_reason", args=(thread.wire_id,))),
            "back": CameFrom.of(request).back(self.list_address()),
        }
        return TemplateResponse(request, "console/reason.html", context)

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[KeysetChangeList]:
        is_step = request.resolver_match is not None and request.resolver_match.url_name == "threads_thread_step"
        return UnseenChangeList if is_step else super().get_changelist(request, **kwargs)

    def _neighbour(self, request: HttpRequest, thread: Thread, way: str, came_from: CameFrom) -> Thread | None:
        """The next in that list; in the list of all where it cannot be told any more."""
        asked = came_from.asked.copy()
        asked.pop(PAGE_VAR, None)
        own, request.GET = request.GET, asked  # type: ignore[assignment]
        try:
            by_time, apart = self.ordered_by_time(request), self.apart(request)
            try:
                found = self.get_changelist_instance(request)
                rows, among, either = found.queryset, found.among(request), found.either()
            except (IncorrectLookupParameters, SuspiciousOperation):
                rows, among, either = self.get_queryset(request), None, ()
        finally:
            request.GET = own
        cursor = keyset.cursor_at("o" if way == "older" else "n", thread, by_time=by_time)
        for _ in range(LOOKS):
            page = keyset.page(
                queryset=rows, cursor=cursor, size=1, by_time=by_time, among=among, apart=apart, either=either
            )
            onward = page.older if way == "older" else page.newer
            if page.rows or page.looked_through is None or onward is None:
                break
            cursor = onward
        return page.rows[0] if page.rows else None

    # --- what stands in them

    def _opened(self, request: HttpRequest, object_id: str, *, counted: bool = True) -> Thread:
        """The thread of an address, for reading. `counted`: this is looked at, and not only kept fresh."""
        thread: Thread | None = self.thing(request, object_id)
        if thread is None or request.method not in ("GET", "HEAD"):
            raise Http404
        if reasons.given(request, thread) is None:
            raise PermissionDenied(NOT_READ)
        if counted:
            self._note(request, thread)
            watching.read(actor=self._reader(request, thread))
        return thread

    def _note(self, request: HttpRequest, thread: Thread) -> None:
        """That they read in it, where the page itself did not leave that in the trail just now."""
        reader = self._reader(request, thread)
        audit.record_once(actor=reader, action="thread.read", ids=[thread.wire_id], within=ONCE_IN)

    def _reader(self, request: HttpRequest, thread: Thread) -> audit.By:
        return audit.By(f"user:{request.user.pk}", thread.workspace_id)

    def _turned_to(self, request: HttpRequest, thread: Thread) -> transcript.Branches:
        """The branch that the address names, and the others."""
        try:
            return transcript.branches_of(thread=thread, number=_position(request.GET.get("branch")))
        except BranchNotFound:
            raise Http404 from None

    def _window(self, request: HttpRequest, thread: Thread, size: int = transcript.SIZE) -> dict[str, Any]:
        turned_to = self._turned_to(request, thread)
        at = _position(request.GET.get("at"))
        before = at + size // 2 if at is not None else _position(request.GET.get("before"))
        damage = ""
        try:
            shown = transcript.window(
                thread=thread,
                turned_to=turned_to,
                before=before,
                after=_position(request.GET.get("after")),
                size=size,
            )
        except Damaged as error:
            shown, damage = transcript.Transcript([], None, None, False), error.message
        return {"transcript": shown, "damage": damage, "at": at, **self._links(request, turned_to)}

    def _links(self, request: HttpRequest, turned_to: transcript.Branches) -> dict[str, Any]:
        """What keeps links within the thread on the branch that is read, and on the list that the reader came from."""
        came_from = CameFrom.of(request)
        return {"branches": turned_to, "came_from": came_from, "here": f"{came_from.query}{turned_to.query}"}

    def _around(self, request: HttpRequest, thread: Thread) -> dict[str, Any]:
        """The rest of the page: what the thread is, what becomes of it, where to go from here."""
        came_from = CameFrom.of(request)
        return {
            **self.page_context(request, thread, _title(thread)),
            "thread": thread,
            "asker": identities.askers([thread]).get(thread.pk, "Not signed in"),
            **self._outlook(request, thread),
            "ways_on": ways_on.of(rights.of(request), thread),
            "opens_at_end": not {"at", "before", "after"} & request.GET.keys(),
            "metadata": display.pretty(thread.metadata) if thread.metadata else "",
            "history_url": came_from.on(reverse("admin:threads_thread_history", args=(thread.wire_id,))),
            "list_url": came_from.back(self.list_address()),
            "found": came_from.asked.get("q", ""),
            "end_of_list": request.GET.get("end", ""),
            "is_fullwidth": "1",
        }

    def _outlook(self, request: HttpRequest, thread: Thread) -> dict[str, Any]:
        """What becomes of the thread, for those who may see policies and holds."""
        told = {}
        if rights.of(request).may(Permission.RETENTION_READ, thread.workspace_id):
            outlook = Expiry(workspace_id=thread.workspace_id, now=timezone.now()).of(thread)
            told = {"outlook": outlook, "becomes": words.DONE.get(outlook.action or "", "")}
        return {**told, "held": thread.held}  # type: ignore[attr-defined]


def _state(thread: Thread, run: Run | None) -> str:
    """Another one whenever the newest window would show something else than what is thought of it."""
    return f"{thread.last_position}:{thread.message_count}:{thread.branch}:{thread.state}:{run and run.pk}"


def _title(thread: Thread) -> str:
    return display.shortened(thread.title, 120) or "Untitled thread"


def _asked_alike(request: HttpRequest, address: str) -> str:
    """An address with the query of this one: the place in the thread, the branch, the list one came from."""
    query = request.GET.urlencode()
    return f"{address}?{query}" if query else address


def _position(text: str | None) -> int | None:
    """A position from a link; None for anything else."""
    return int(text) if text and text.isascii() and text.isdigit() and len(text) <= 9 else None
