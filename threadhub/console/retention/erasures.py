"""Erasing a person in the staff console: listed, confirmed by the list's code, done by the worker, certified."""

import json
import re
from typing import Any
from uuid import UUID

from django import forms
from django.contrib import admin
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget

from chat_sessions.models import EXTERNAL_REF_CHARACTERS, ChatSession
from threadhub.console import display, identities, rights
from threadhub.console.base import ConsoleAdmin, column, created
from threadhub.console.deeds import Deed
from threadhub.console.filters import WorkspaceFilter, by_column, decoded
from threadhub.lib import ids
from threadhub.workspaces.models import User
from threadhub.workspaces.permissions import Permission
from threads.lifecycle.erasure import erasures, people, proof
from threads.models import Erasure, Thread

SUBJECTS = [
    ("external_ref", "Whoever has an external reference"), ("end_user", "An end user, by the product's reference"),
    ("session", "The visitor of a chat session"), ("user", "A user"),
]  # fmt: skip
PREFIXES = {"user": User.PREFIX, "session": ChatSession.PREFIX}
NAMES = {
    "whole_threads": "Threads",
    "runs_elsewhere": "Questions in threads of others",
    "answers_elsewhere": "Answers in the agent's place, unsigned",
    "notes_elsewhere": "Notes to colleagues, unsigned",
    "assignments": "Threads that wait for them",
    "marks_elsewhere": "Marks in threads of others",
    "archived_elsewhere": "Archived threads of others",
    "keys": "API keys",
    "idempotency_records": "Answers kept for repeated requests",
    "log_entries": "Lines of the console's history",
    "audit_events": "Lines of the trail, masked",
    "access_rows": "Counters of access",
    "leftover_files": "Files that a crash left",
}


class ErasureForm(forms.ModelForm):  # type: ignore[type-arg]
    """Whom it is about. Sending it only lists what there is."""

    subject = forms.ChoiceField(label="Erase", choices=SUBJECTS, widget=UnfoldAdminSelectWidget)
    value = forms.CharField(
        label="Who",
        max_length=EXTERNAL_REF_CHARACTERS,
        strip=False,
        widget=UnfoldAdminTextInputWidget(attrs={"autocomplete": "off"}),
        help_text="The reference; or the id of the session or user.",
    )

    class Meta:
        model = Erasure
        fields = ("workspace", "subject")

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        if self.errors:
            return data
        self.kind, self.meant = data["subject"], _meant(data["subject"], data["value"])
        try:
            if self.meant is None or "\x00" in str(self.meant):
                raise people.PersonNotFound
            people.find(workspace_id=data["workspace"].pk, kind=self.kind, value=self.meant)
        except people.PersonNotFound as error:
            self.add_error("value", error.message)
        return data


@admin.register(Erasure)
class ErasureAdmin(ConsoleAdmin):
    reading = Permission.PERSON_ERASE
    newest_by_workspace = True
    writing = Permission.PERSON_ERASE
    may_be_added = True
    told_by = ("requested_by",)
    save_title = "List what would be erased"
    has_form = False
    form = ErasureForm
    list_display = ("listed", "whom", "state_label", "threads", "by", "workspace")
    list_filter = (WorkspaceFilter, by_column("state", "State"))
    list_select_related = ("workspace",)
    search_help_text = "Id of an erasure"
    add_fieldsets = ((None, {"fields": ("workspace", "subject", "value")}),)
    listed = staticmethod(created)
    deeds = (
        Deed(
            name="erase",
            title="Erase for ever",
            icon="person_remove",
            permission=Permission.PERSON_ERASE,
            question=lambda erasure: f"Erase this person for ever? {said_of(erasure.plan.get('counts', {}))}.",
            consequence="The worker erases all of it: live threads, trash, bundles, files, sessions, what they asked "
            "in threads of others, and what names them in the trail. It cannot be taken back or stopped for good. If "
            "anything of the person changed since the list was made, nothing is done.",
            done=lambda erasure: "The worker erases this person now.",
            do=lambda actor, thing, now: erasures.begin(actor=actor, erasure=thing, code=code_of(thing), now=now),
            applies=lambda erasure: erasure.state == Erasure.State.PLANNED and erasure.person is not None,
            typed=lambda erasure: code_of(erasure),
            instead="Keep everything",
        ),
    )

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view
        name = "threads_erasure"
        return [
            path("<str:object_id>/progress/", view(self.progress_view), name=f"{name}_progress"),
            path("<str:object_id>/certificate/", view(self.certificate_view), name=f"{name}_certificate"),
            *super().get_urls(),
        ]

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        return self.add_fieldsets

    def save_model(self, request: HttpRequest, obj: Erasure, form: Any, change: bool) -> None:
        actor = rights.of(request).actor(obj.workspace_id)
        planned = erasures.plan(actor=actor, kind=form.kind, value=form.meant, now=timezone.now())
        obj.pk = planned.pk
        obj.refresh_from_db()

    def response_add(self, request: HttpRequest, obj: Erasure, post_url_continue: str | None = None) -> HttpResponse:
        self.message_user(request, "This is what there is of the person. Nothing was erased.")
        return redirect(self.address_of(obj))

    def progress_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """How far it is, for the script of the page."""
        erasure = self._found(request, object_id)
        return JsonResponse({"status": erasure.state, "done": erasure.progress.get("whole_threads", 0)})

    def certificate_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """The certificate with its signature, as a file."""
        erasure = self._found(request, object_id)
        if erasure.certificate is None:
            raise Http404
        self.record(request, "download", erasure)
        text = json.dumps({**erasure.certificate, "signature": erasure.signature}, indent=1, sort_keys=True)
        headers = {"Content-Disposition": f'attachment; filename="{erasure.wire_id}.json"'}
        return HttpResponse(text, content_type="application/json", headers=headers)

    def page(self, request: HttpRequest, erasure: Erasure) -> HttpResponseBase:
        context = {**self.page_context(request, erasure, "Erasure"), **_told(erasure)}
        return TemplateResponse(request, "console/erasure.html", context)

    def _found(self, request: HttpRequest, object_id: str) -> Erasure:
        found = self.thing(request, object_id)
        if not isinstance(found, Erasure):
            raise Http404
        return found

    @column("Who")
    def whom(self, erasure: Erasure) -> str:
        return subject_of(erasure)

    @column("State")
    def state_label(self, erasure: Erasure) -> str:
        return display.badge(BADGES[erasure.state], erasure.get_state_display())

    @column("Threads")
    def threads(self, erasure: Erasure) -> str:
        return f"{erasure.plan.get('counts', {}).get('threads', 0):,}"

    @column("Asked by")
    def by(self, erasure: Erasure) -> str:
        return identities.told(erasure, "requested_by")


BADGES = {"planned": "queued", "running": "running", "blocked": "held", "done": "done"}


def code_of(erasure: Erasure) -> str:
    """What must be typed for this list."""
    return erasures.code_of(erasure.workspace_id, erasure.plan_hash)


def subject_of(erasure: Erasure) -> str:
    """What kind of person; who it is stands nowhere."""
    return dict(SUBJECTS).get(erasure.subject, "Somebody whom an older backup brought back")


def said_of(counts: dict[str, int]) -> str:
    """`3 threads, 12 messages`: what there is, in words."""
    nouns = {name: _name(name, count) for name, count in counts.items() if count}
    told = [
        f"{counts[name]:,} {noun if noun[1].isupper() else noun[0].lower() + noun[1:]}" for name, noun in nouns.items()
    ]
    return ", ".join(told) or "nothing"


def _name(name: str, count: int = 2) -> str:
    """Of so many; of one the first noun alone stands in the singular."""
    noun = NAMES.get(name, name.replace("_elsewhere", " in threads of others").replace("_", " ").capitalize())
    return re.sub(r"s\b", "", noun, count=1) if count == 1 else noun


def _meant(kind: str, value: str) -> str | UUID | None:
    prefix = PREFIXES.get(kind)
    if prefix is None:
        return value
    pk = decoded(prefix, value.strip())
    return UUID(str(pk)) if pk else None


def _told(erasure: Erasure) -> dict[str, Any]:
    """What the page shows of an erasure."""
    counts = erasure.plan.get("counts", {})
    progress = {name: count for name, count in erasure.progress.items() if name != "threads"}
    certificate = erasure.certificate
    who = identities.names([erasure.requested_by, erasure.confirmed_by])
    named = [ids.decode(Thread.PREFIX, each) for each in erasure.plan.get("sample", [])]
    held = set(erasure.plan.get("blocked_by_hold", []))
    return {
        "erasure": erasure,
        "subject": subject_of(erasure),
        "badge": BADGES[erasure.state],
        "void": erasure.state == Erasure.State.PLANNED and erasure.person is None,
        "live": erasure.state == Erasure.State.RUNNING,
        "planned": counts.get("threads", 0),
        "done": progress.get("whole_threads", 0),
        "counts": [(_name(name), count) for name, count in counts.items() if count],
        "held": erasure.plan.get("held", 0),
        "sample": [
            (thread, thread.wire_id in held)
            for thread in Thread.objects.filter(workspace_id=erasure.workspace_id, pk__in=named).order_by("pk")
        ],
        "erased": [(_name(name), count) for name, count in progress.items() if count],
        "certificate": certificate,
        "mentioned": (certificate or {}).get("verified", {}).get("mentioned_by_others", {}),
        "genuine": certificate is not None and proof.is_genuine(erasure),
        "asked_by": who.get(erasure.requested_by, ""),
        "confirmed_by": who.get(erasure.confirmed_by, ""),
        "progress_url": reverse("admin:threads_erasure_progress", args=(erasure.wire_id,)),
    }
