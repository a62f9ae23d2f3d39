"""Events of runs long finished: their rows go, what they said is told from the thread's messages.

Of each event the run keeps number, type and data, of each piece of text only where it stands in its message. So a
replay gives the very events that the rows were, for as long as the messages are there: what was deleted or changed
since is not told again.
"""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import transaction

from threads.models import Message, Run, RunEvent
from threads.runs import events
from threads.runs.events import StoredEvent

SWEEP = 500  # runs compacted per sweep


def compact_finished(*, now: datetime) -> int:
    """Compact the events of runs that finished RUN_EVENTS_KEPT_SECONDS ago; returns how many runs."""
    before = now - timedelta(seconds=settings.RUN_EVENTS_KEPT_SECONDS)
    due = Run.objects.filter(finished_at__lt=before, replay__isnull=True).order_by("finished_at", "id")
    runs = list(due[:SWEEP])
    for run in runs:
        compact(run=run)
    return len(runs)


@transaction.atomic
def compact(*, run: Run) -> None:
    """Replace the rows of a finished run's events by what is needed to tell them again."""
    locked = Run.objects.select_for_update().filter(pk=run.pk, replay__isnull=True, finished_at__isnull=False).first()
    if locked is None:
        return
    rows = RunEvent.objects.filter(run_id=run.pk, workspace_id=run.workspace_id)
    locked.replay = _without_text(
        [StoredEvent(*row) for row in rows.order_by("seq").values_list("seq", "type", "data")]
    )
    if locked.context is not None:
        locked.context.pop(
            "instructions", None
        )  # the agent's own may have to do from now on: a copy per run is too dear
    locked.save(update_fields=["replay", "context"])
    rows.delete()


def events_after(*, run: Run, seq: int) -> list[StoredEvent]:
    """The events of a compacted run after a number; none where the run is not compacted."""
    if run.replay is None:
        return []
    wanted = messages_of(run.replay, seq)
    rows = Message.objects.filter(workspace_id=run.workspace_id, thread_id=run.thread_id, pk__in=wanted)
    return told(run.replay, seq, dict(rows.values_list("pk", "content")))


def messages_of(kept: list[list[Any]], seq: int) -> set[UUID]:
    """Which messages are needed to tell what is kept of a run's events after a number."""
    return {
        UUID(data["message_id"])
        for number, type, data in kept
        if number > seq and type == events.TEXT_DELTA and "message_id" in data
    }


def told(kept: list[list[Any]], seq: int, texts: dict[UUID, str | None]) -> list[StoredEvent]:
    """The events after a number, out of what is kept of them and of their messages' texts."""
    return [StoredEvent(number, type, _with_text(type, data, texts)) for number, type, data in kept if number > seq]


def _without_text(rows: list[StoredEvent]) -> list[list[Any]]:
    """Pieces of text become places in the message that was stored after them; those of none keep their text."""
    kept: list[list[Any]] = []
    unplaced: list[list[Any]] = []
    for event in rows:
        entry = [event.seq, event.type, event.data]
        kept.append(entry)
        if event.type == events.TEXT_DELTA:
            unplaced.append(entry)
        elif event.type == events.MESSAGE_STORED and event.data["role"] == Message.Role.ASSISTANT:
            _place(unplaced, event.data["message_id"])
            unplaced = []
    return kept


def _place(entries: list[list[Any]], message_id: str) -> None:
    start = 0
    for entry in entries:
        end = start + len(entry[2]["text"])
        entry[2] = {"index": entry[2]["index"], "message_id": message_id, "from": start, "to": end}
        start = end


def _with_text(type: str, data: dict[str, Any], texts: dict[UUID, str | None]) -> dict[str, Any]:
    if type != events.TEXT_DELTA or "message_id" not in data:
        return data
    text = texts.get(UUID(data["message_id"])) or ""
    return {"index": data["index"], "text": text[data["from"] : data["to"]]}
