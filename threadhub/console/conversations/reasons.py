"""Why somebody reads a transcript, in workspaces that ask: said once for a thread and a while, kept in the session, and
written into the audit trail with the reading."""

import time

from django import forms
from django.core.exceptions import ValidationError
from django.http import HttpRequest
from unfold.widgets import UnfoldAdminTextInputWidget

from threads.models import Thread

KEPT = "transcript_reasons"  # in the session: {thread id: [reason, until]}
SECONDS = 4 * 3600
MOST = 50


class ReasonForm(forms.Form):
    reason = forms.CharField(
        label="Why do you read this conversation?",
        min_length=5,
        max_length=200,
        help_text="Your reason is kept in the audit trail, with your name and the time. It is good for four hours.",
        widget=UnfoldAdminTextInputWidget(attrs={"autocomplete": "off", "autofocus": True}),
    )

    def clean_reason(self) -> str:
        reason = " ".join(self.cleaned_data["reason"].split())
        if len(reason) < 5:
            raise ValidationError("Say it in a few words.")
        return reason


def given(request: HttpRequest, thread: Thread) -> str | None:
    """The reason that was said for this thread and still counts; empty where none is asked, None where one is due."""
    if not thread.workspace.transcript_reason:
        return ""
    reason, until = request.session.get(KEPT, {}).get(str(thread.pk), (None, 0))
    return reason if until > time.time() else None


def keep(request: HttpRequest, thread: Thread, reason: str) -> None:
    """Remember it for this thread; the oldest are forgotten."""
    now = time.time()
    kept = {pk: each for pk, each in request.session.get(KEPT, {}).items() if each[1] > now}
    newest = dict(sorted(kept.items(), key=lambda item: item[1][1])[-(MOST - 1) :])
    request.session[KEPT] = {**newest, str(thread.pk): (reason, now + SECONDS)}
