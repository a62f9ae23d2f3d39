"""What staff do in a thread beside reading it: take it over, answer, hand it back; assign it, label it, leave notes.

Each is a POST with a token and one call of the domain. The page's own script posts an answer without leaving the page;
without it that is a form that comes back, as the others are.
"""

from collections.abc import Callable
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, JsonResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.urls import URLPattern, path
from django.utils import timezone

from threadhub.console import rights
from threadhub.console.came_from import CameFrom
from threadhub.console.conversations import marks, reasons
from threadhub.console.conversations.reading import NOT_READ, ThreadReading
from threadhub.console.filters import decoded
from threadhub.lib import ids
from threadhub.lib.errors import DomainError, Invalid
from threadhub.workspaces.actor import PermissionMissing
from threadhub.workspaces.models import User
from threadhub.workspaces.permissions import Permission
from threads.actions import desk, takeover
from threads.models import CannedAnswer, Note, Thread

NOTES, ALL_NOTES = 50, 1_000  # shown, the newest; where all are asked for
CANNED = 500
NOBODY = UUID(int=0)


class UnreadableText(Invalid):
    """This text has characters that cannot be kept."""

    code = "unreadable_text"


class ThreadDesk(ThreadReading):
    """The desk's part of the page of threads."""

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.desk_view)
        return [path("<str:object_id>/desk/<str:deed>/", view, name="threads_thread_desk"), *super().get_urls()]

    def desk_of(self, request: HttpRequest, thread: Thread) -> dict[str, Any]:
        held = rights.of(request)
        open_to_write = thread.state == Thread.State.ACTIVE
        may_annotate = held.may(Permission.THREAD_ANNOTATE, thread.workspace_id)
        may_take_over = held.may(Permission.THREAD_TAKE_OVER, thread.workspace_id) and open_to_write
        most = ALL_NOTES if request.GET.get("notes") == "all" else NOTES
        notes = list(Note.objects.filter(thread_id=thread.pk, workspace_id=thread.workspace_id)[: most + 1])
        older_notes, notes = len(notes) > most, notes[:most]
        colleagues = list(desk.colleagues(workspace_id=thread.workspace_id)) if may_annotate else []
        people = self._people(thread, notes)
        canned: list[CannedAnswer] = []
        if may_take_over and thread.taken_over:
            canned = list(
                CannedAnswer.objects.filter(workspace_id=thread.workspace_id).order_by("title", "pk")[: CANNED + 1]
            )
        return {
            "may_take_over": may_take_over,
            "may_annotate": may_annotate,
            "taken_over_by": people.get(thread.taken_over_by_id or NOBODY, "A person"),
            "is_mine": thread.taken_over_by_id == request.user.pk,
            "assignee": people.get(thread.assignee_id or NOBODY),
            "colleagues": colleagues,
            "notes": [
                (note, people.get(_user_of(note) or NOBODY, "Somebody"), _user_of(note) == request.user.pk)
                for note in notes
            ],
            "older_notes": older_notes,
            "canned_answers": canned[:CANNED],
            "more_canned_answers": len(canned) > CANNED,
            "sending": new_sending(),
        }

    def desk_view(self, request: HttpRequest, object_id: str, deed: str) -> HttpResponseBase:
        """Do one of DEEDS, and come back to the thread; to a script that asks for JSON say how it went."""
        thread: Thread | None = self.thing(request, object_id)
        if thread is None or deed not in DEEDS or request.method != "POST":
            raise Http404
        if reasons.given(request, thread) is None:
            raise PermissionDenied(NOT_READ)
        wants_json = request.headers.get("Accept", "").startswith("application/json")
        try:
            sentence = DEEDS[deed](self, request, thread)
        except PermissionMissing as error:
            raise PermissionDenied from error
        except DomainError as error:
            if wants_json:
                return JsonResponse({"error": error.message}, status=409)
            messages.error(request, error.message)
        else:
            if wants_json:
                return JsonResponse({"done": sentence, "sending": new_sending()})
            messages.success(request, sentence)
        return redirect(f"{CameFrom.of(request).on(self.address_of(thread))}#end")

    def take_over(self, request: HttpRequest, thread: Thread) -> str:
        takeover.take_over(actor=self.acting(request, thread), thread=thread, now=timezone.now())
        return "You answer in this thread now. The agent is paused."

    def answer(self, request: HttpRequest, thread: Thread) -> str:
        takeover.answer(
            actor=self.acting(request, thread),
            thread=thread,
            text=_text(request, "text"),
            now=timezone.now(),
            sending=decoded(takeover.SENDING, request.POST.get("sending", "")),
        )
        return "Your answer is in the thread."

    def hand_back(self, request: HttpRequest, thread: Thread) -> str:
        takeover.hand_back(actor=self.acting(request, thread), thread=thread, now=timezone.now())
        return "The agent answers in this thread again."

    def assign(self, request: HttpRequest, thread: Thread) -> str:
        wanted = request.POST.get("assignee", "")
        user_id = decoded(User.PREFIX, wanted)
        if wanted and user_id is None:
            raise desk.NotAssignable
        desk.assign(actor=self.acting(request, thread), thread=thread, user_id=user_id)
        return "The thread is assigned." if user_id else "The thread is nobody's now."

    def label(self, request: HttpRequest, thread: Thread) -> str:
        desk.label(actor=self.acting(request, thread), thread=thread, labels=_text(request, "labels").split(","))
        return "The labels are saved."

    def note(self, request: HttpRequest, thread: Thread) -> str:
        actor = self.acting(request, thread)
        desk.note(actor=actor, thread=thread, text=_text(request, "text"), now=timezone.now())
        return "Your note is saved. Only staff see it."

    def remove_note(self, request: HttpRequest, thread: Thread) -> str:
        note_id = decoded(Note.PREFIX, request.POST.get("note", ""))
        if note_id is None:
            raise desk.NoteNotFound
        desk.remove_note(actor=self.acting(request, thread), thread=thread, note_id=note_id)
        return "Your note is gone."

    def _people(self, thread: Thread, notes: list[Note]) -> dict[UUID, str]:
        wanted = {_user_of(note) for note in notes} | {thread.assignee_id, thread.taken_over_by_id}
        return marks.names({pk for pk in wanted if pk is not None})


# name in the address: what it does; returns the sentence to show
DEEDS: dict[str, Callable[[ThreadDesk, HttpRequest, Thread], str]] = {
    "take_over": ThreadDesk.take_over,
    "answer": ThreadDesk.answer,
    "hand_back": ThreadDesk.hand_back,
    "assign": ThreadDesk.assign,
    "label": ThreadDesk.label,
    "note": ThreadDesk.note,
    "remove_note": ThreadDesk.remove_note,
}


def new_sending() -> str:
    """A name for what will be sent next: sent again under it, it is in the thread once."""
    return ids.encode(takeover.SENDING, ids.new())


def _text(request: HttpRequest, name: str) -> str:
    """A field's text. Raises UnreadableText for what PostgreSQL has no characters for."""
    text = request.POST.get(name, "")
    if "\x00" in text or any("\ud800" <= character <= "\udfff" for character in text):
        raise UnreadableText
    return text.replace("\r\n", "\n")


def _user_of(note: Note) -> UUID | None:
    kind, _, rest = note.author.partition(":")
    try:
        return UUID(rest) if kind == "user" else None
    except ValueError:
        return None
