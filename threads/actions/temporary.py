"""Askings without a thread: the question and its answer stand in a temporary thread that no list shows, and go."""

from contextlib import suppress
from datetime import datetime, timedelta
from uuid import UUID

from django.db import transaction
from django.db.models import Exists, OuterRef

from threadhub.workspaces import actor as actors
from threadhub.workspaces.actor import Actor
from threads.actions import threads
from threads.lifecycle import holds
from threads.lifecycle.holds import ThreadHeld
from threads.models import Run, Thread

KEPT = timedelta(minutes=10)  # long enough for a reader who lost the connection to come back for the answer


def create(*, actor: Actor, agent_id: UUID, now: datetime) -> Thread:
    """A thread for one asking."""
    return threads.make(actor=actor, agent_id=agent_id, now=now, state=Thread.State.TEMPORARY)


def remove_answered(*, now: datetime) -> int:
    """Remove temporary threads that are done with; returns how many."""
    live = Run.objects.filter(thread_id=OuterRef("pk")).live()
    done = Thread.objects.filter(state=Thread.State.TEMPORARY, updated_at__lt=now - KEPT).exclude(Exists(live))
    removed = 0
    for thread in done.exclude(holds.Covered()).order_by("created_at", "id")[:1000]:
        with suppress(ThreadHeld), transaction.atomic():  # a hold came between the question and the deed
            threads.delete(actor=actors.system(thread.workspace_id), thread=thread, now=now)
            removed += 1
    return removed
