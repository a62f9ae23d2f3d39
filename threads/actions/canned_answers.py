"""Texts that staff who answer in threads begin with."""

from datetime import datetime

from django.db import transaction

from threadhub import audit
from threadhub.lib.errors import Conflict
from threadhub.workspaces.actor import Actor
from threadhub.workspaces.permissions import Permission
from threads.models import CannedAnswer


class CannedAnswerExists(Conflict):
    """This workspace has a canned answer of that title."""

    code = "canned_answer_exists"


@transaction.atomic
def create(*, actor: Actor, title: str, text: str, now: datetime) -> CannedAnswer:
    """A new one in the actor's workspace. Raises CannedAnswerExists."""
    actor.require(Permission.CANNED_ANSWER_WRITE)
    _check_title(actor, title)
    made = CannedAnswer.objects.create(
        workspace_id=actor.workspace_id, title=title, text=text, created_at=now, updated_at=now
    )
    audit.record(actor=actor, action="canned_answer.create", ids=[made.wire_id])
    return made


@transaction.atomic
def change(*, actor: Actor, canned: CannedAnswer, title: str, text: str, now: datetime) -> CannedAnswer:
    """Other words. Raises CannedAnswerExists."""
    actor.require(Permission.CANNED_ANSWER_WRITE)
    _check_title(actor, title, but=canned)
    canned.title, canned.text, canned.updated_at = title, text, now
    canned.save(update_fields=["title", "text", "updated_at"])
    audit.record(actor=actor, action="canned_answer.update", ids=[canned.wire_id])
    return canned


@transaction.atomic
def remove(*, actor: Actor, canned: CannedAnswer) -> None:
    """What was answered with it stays."""
    actor.require(Permission.CANNED_ANSWER_WRITE)
    wire_id = canned.wire_id
    canned.delete()
    audit.record(actor=actor, action="canned_answer.delete", ids=[wire_id])


def _check_title(actor: Actor, title: str, but: CannedAnswer | None = None) -> None:
    others = CannedAnswer.objects.filter(workspace_id=actor.workspace_id, title=title)
    if but is not None:
        others = others.exclude(pk=but.pk)
    if others.exists():
        raise CannedAnswerExists
