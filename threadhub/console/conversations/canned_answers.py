"""Canned answers, written by whoever may, used by all who answer."""

from typing import Any

from django import forms
from django.contrib import admin
from django.http import HttpRequest
from django.utils import timezone
from unfold.widgets import UnfoldAdminTextareaWidget

from threadhub.console import display, rights
from threadhub.console.base import ConsoleAdmin, column, created, shown_id
from threadhub.console.deeds import Deed
from threadhub.console.filters import WorkspaceFilter
from threadhub.workspaces.permissions import Permission
from threads.actions import canned_answers
from threads.actions.takeover import LONGEST_ANSWER
from threads.models import CannedAnswer


class CannedAnswerForm(forms.ModelForm):  # type: ignore[type-arg]
    text = forms.CharField(
        max_length=LONGEST_ANSWER,
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 8}),
        help_text="Put into the answer's field, where it can still be changed. Markdown is rendered.",
    )

    class Meta:
        model = CannedAnswer
        fields = ("workspace", "title", "text")


@admin.register(CannedAnswer)
class CannedAnswerAdmin(ConsoleAdmin):
    noun = "canned_answer"
    reading = Permission.THREAD_TAKE_OVER
    writing = Permission.CANNED_ANSWER_WRITE
    may_be_added = True
    may_be_changed = True
    form = CannedAnswerForm
    list_display = ("title", "begins", "workspace", "made")
    list_filter = (WorkspaceFilter,)
    list_select_related = ("workspace",)
    searched = ("title", "text")
    search_help_text = "Words of a title or text, or an id"
    fields = ("workspace", "title", "text", ("shown_id", "made"))
    add_fieldsets = ((None, {"fields": ("workspace", "title", "text")}),)
    readonly_fields = ("shown_id", "made")
    shown_id = staticmethod(shown_id)
    made = staticmethod(created)
    deeds = (
        Deed(
            name="remove",
            title="Remove",
            icon="delete",
            permission=Permission.CANNED_ANSWER_WRITE,
            question=lambda canned: f"Remove the canned answer “{canned.title}”?",
            consequence="What was answered with it stays where it is.",
            done=lambda canned: f"The canned answer “{canned.title}” is removed.",
            do=lambda actor, thing, now: canned_answers.remove(actor=actor, canned=thing),
            removes=True,
        ),
    )

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        return ("workspace", *self.readonly_fields) if obj else self.readonly_fields

    def save_model(self, request: HttpRequest, obj: CannedAnswer, form: Any, change: bool) -> None:
        actor, now = rights.of(request).actor(obj.workspace_id), timezone.now()
        words = {"title": form.cleaned_data["title"], "text": form.cleaned_data["text"]}
        if change:
            canned_answers.change(actor=actor, canned=obj, now=now, **words)
        else:
            obj.pk = canned_answers.create(actor=actor, now=now, **words).pk

    @column("Text")
    def begins(self, canned: CannedAnswer) -> str:
        return display.shortened(canned.text, 90)
