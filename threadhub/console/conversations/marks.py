"""What a list of threads shows beside the threads' own columns: ratings, what becomes of them, whose they are, and the
words that were looked for. One query for each, however many rows the page has."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from typing import Any
from uuid import UUID

from django.db.models import Count, Q
from django.utils.html import conditional_escape, format_html, format_html_join
from django.utils.safestring import SafeString

from threadhub.console import display, identities, search_terms
from threadhub.workspaces.models import User
from threads.lifecycle.expiry import Expiry, Outlook
from threads.models import BundledThread, Feedback, Message, Thread

AROUND = 60  # characters before and after the first word that was found

Rated = tuple[int, int] | None  # good, bad; None: rated, but which way only its bundle knows


@dataclass(slots=True)
class Marks:
    """Of one page's threads, by their ids."""

    ratings: dict[UUID, Rated] = field(default_factory=dict)
    outlooks: dict[UUID, Outlook] = field(default_factory=dict)
    people: dict[UUID, str] = field(default_factory=dict)
    askers: dict[UUID, str] = field(default_factory=dict)
    hits: dict[UUID, SafeString] = field(default_factory=dict)


def of(threads: Sequence[Thread], *, term: str, found_in: dict[UUID, UUID], retention_in: Any, now: datetime) -> Marks:
    """The marks of a page's rows. `found_in`: the message in which a thread was found. `retention_in(workspace_id)`:
    whether the reader may see what policies do there."""
    if not threads:
        return Marks()
    return Marks(
        ratings=_ratings(threads),
        outlooks=_outlooks(threads, retention_in, now),
        people=_people(threads),
        askers=identities.askers(threads),
        hits=_hits(threads, term, found_in),
    )


def _ratings(threads: Sequence[Thread]) -> dict[UUID, Rated]:
    """Of live threads by their feedback; of archived ones, on pages that have any, as the catalogue keeps it."""
    rows = Feedback.objects.filter(thread_id__in=[thread.pk for thread in threads]).order_by().values_list("thread_id")
    counted = rows.annotate(good=Count("pk", filter=Q(rating=1)), bad=Count("pk", filter=Q(rating=-1)))
    found: dict[UUID, Rated] = {thread_id: (good, bad) for thread_id, good, bad in counted}
    archived = [thread.pk for thread in threads if thread.archived_at is not None]
    if archived:
        kept = BundledThread.objects.filter(thread_id__in=archived, counts__has_key="feedback").order_by()
        for thread_id, good, bad in kept.values_list("thread_id", "good", "bad"):
            found[thread_id] = None if good is None or bad is None else (good, bad)
    return found


def _outlooks(threads: Sequence[Thread], retention_in: Any, now: datetime) -> dict[UUID, Outlook]:
    told = [thread for thread in threads if retention_in(thread.workspace_id)]
    if not told:
        return {}
    by_workspace = Expiry.of_workspaces({thread.workspace_id for thread in told}, now=now)
    return {thread.pk: by_workspace[thread.workspace_id].of(thread) for thread in told}


def _people(threads: Sequence[Thread]) -> dict[UUID, str]:
    wanted = {pk for thread in threads for pk in (thread.assignee_id, thread.taken_over_by_id) if pk}
    return names(wanted)


def names(ids: set[UUID]) -> dict[UUID, str]:
    """What users are called."""
    return (
        {user.pk: user.get_full_name() or user.get_username() for user in User.objects.filter(pk__in=ids)}
        if ids
        else {}
    )


def marked(text: str, wanted: Sequence[str]) -> SafeString:
    """The text with words and phrases highlighted; everything is escaped."""
    parts = _pattern(tuple(wanted)).split(text) if wanted else [text]
    if len(parts) == 1:
        return conditional_escape(text)
    return format_html_join("", "{}", ((_piece(part, at),) for at, part in enumerate(parts)))


@lru_cache(maxsize=64)
def _pattern(wanted: tuple[str, ...]) -> re.Pattern[str]:
    """Any of them, as a group. Between the words of a phrase other signs than spaces may stand, as search has it."""
    either = "|".join(r"\W+".join(re.escape(word) for word in each.split()) for each in wanted)
    return re.compile(f"({either})", re.IGNORECASE)


def _piece(part: str, at: int) -> SafeString | str:
    return format_html('<mark class="th-hit">{}</mark>', part) if at % 2 else part


def excerpt(text: str, wanted: Sequence[str]) -> SafeString:
    """The surroundings of the first word or phrase that was found, highlighted."""
    line = " ".join(_unmarked(text, wanted).split())
    hit = _pattern(tuple(wanted)).search(line) if wanted else None
    start = max(hit.start() - AROUND, 0) if hit else 0
    end = start + 3 * AROUND
    cut = f"{'…' if start else ''}{line[start:end]}{'…' if end < len(line) else ''}"
    return marked(cut, wanted)


def _unmarked(text: str, wanted: Sequence[str]) -> str:
    """Without the signs of markdown that a line of prose is the harder to read for, unless they are looked for."""
    for sign in ("**", "```", "`"):
        text = text if any(sign in each for each in wanted) else text.replace(sign, "")
    return text


def _hits(threads: Sequence[Thread], term: str, found_in: dict[UUID, UUID]) -> dict[UUID, SafeString]:
    """Excerpts of the messages in which they were found."""
    if not term:
        return {}
    found = {found_in[thread.pk] for thread in threads if thread.pk in found_in}
    rows = Message.objects.filter(pk__in=found).order_by().values_list("thread_id", "content") if found else []
    wanted = search_terms.read(term).wanted
    return {thread_id: excerpt(content or "", wanted) for thread_id, content in rows}


def rating_badges(rated: Rated) -> SafeString | str:
    """`2 good`, `1 bad`; a dash for a thread that nobody rated."""
    if rated is None:
        return display.badge("rated", "Rated")
    good, bad = rated
    shown = [display.badge("good", f"{good} good")] if good else []
    shown += [display.badge("bad", f"{bad} bad")] if bad else []
    return display.together(shown) if shown else display.NONE
