"""Words within one thread, and what is new in it since somebody looked."""

from dataclasses import dataclass
from typing import Any

from threadhub.console.conversations import marks
from threads.lifecycle import reading
from threads.models import Message, Run, Thread
from threads.path import Path
from threads.runs import end

HITS = 100
SHORTEST = 2  # characters


def find(*, thread: Thread, path: Path | None, term: str) -> list[dict[str, Any]]:
    """The messages on a branch's path that hold the term, without a phrase's quotes, oldest first: position and
    excerpt. Reads one thread's messages by the index on (thread, position); of an archived one, its bundle."""
    term = term.strip().strip('"').strip()
    if len(term) < SHORTEST or "\x00" in term:
        return []
    if reading.is_bundled(thread):
        lowered = term.lower()
        archived = reading.ArchivedMessages.of(thread).on(path)
        rows: Any = (each for each in archived if lowered in (each.content or "").lower())
    else:
        everywhere = Message.objects.of_all_branches(thread)
        rows = everywhere.on(path).filter(content__icontains=term).only("position", "role", "content")
        rows = rows[:HITS]
    hits = []
    for message in rows:
        hits.append({"position": message.position, "excerpt": marks.excerpt(message.content or "", [term])})
        if len(hits) == HITS:
            break
    return hits


@dataclass(frozen=True, slots=True)
class Live:
    """What goes on in a thread now: the run that is being answered, if one is, and what it has said so far."""

    run: Run | None
    text: str

    @property
    def waits_for_person(self) -> bool:
        return self.run is not None and self.run.thread.taken_over


def live(*, thread: Thread) -> Live:
    """The newest live run with its text: two queries by index."""
    run = live_run(thread=thread)
    if run is None:
        return Live(None, "")
    run.thread = thread
    return Live(run, end.said_so_far(run.pk, run.workspace_id))


def live_run(*, thread: Thread) -> Run | None:
    """The newest run of a thread that is being answered, or is to be."""
    return None if reading.is_bundled(thread) else Run.objects.of_thread(thread).live().first()
