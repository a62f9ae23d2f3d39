"""A thread with its messages, or a page of these, as several paths read it: by rows where it can be read so, and not at
all by who has it."""

from typing import Any

from django.http import HttpResponse
from rest_framework.response import Response

from threadhub.api import etags
from threadhub.api.renderers import as_json
from threadhub.api.rest.position_page import PositionPage
from threadhub.api.rest.representations import from_rows, written
from threadhub.api.rest.representations.messages import versions
from threadhub.api.rest.views.base import InThread
from threadhub.lib import ids
from threadhub.lib.errors import Invalid
from threads import reading, whole_rows
from threads.lifecycle.expiry import Outlook
from threads.message_rows import MessageRow
from threads.models import Message
from threads.whole_rows import ALL, Part, Whole

ANY = "*"
KNOWN: dict[str, Any] = {}  # the body of an answer that its asker has: it is not sent


def answer(view: InThread) -> HttpResponse:
    """The thread of the view's path. Raises ThreadNotFound, ChatSessionNotFound."""
    context = {"threads_path": view.threads_path}
    if "If-None-Match" in view.request.headers:
        found = _read(view, None)
        if found is None:
            return _by_objects(view, context)
        response = _unchanged(view, found, context)
        if response is not None:
            return response
    known = written.messages_of(view.named()[0], view.threads_path)
    found = _read(view, ALL, known.version if known is not None else None)
    if found is None:
        return _by_objects(view, context)
    reading.note(actor=view.actor, threads=[found.thread])
    outlook = from_rows.outlook_of(found, now=view.now)
    response = as_json(written.whole(found, context, known, outlook=outlook))
    etags.tag(response, _whole_tag(view, found, context, outlook))
    return response


def messages(view: InThread) -> HttpResponse | None:
    """A page of its messages. None: by objects, which also say what is wrong with what was asked."""
    asked = view.request.query_params.dict()
    if "role" in asked or "branch" in asked:
        return None
    try:
        page = PositionPage(view.request)
    except Invalid:
        return None
    known = _known(view, asked)
    if known is not None:
        return known
    read = _Reading(view)
    page.fill(read)
    found = read.first
    if found is None:
        return None
    return _tagged(view, found, asked, page.envelope(found.thread.message_count, _messages(view, found, page.rows)))


def message(view: InThread) -> HttpResponse | None:
    """One of its messages. None: by objects."""
    known = _known(view, {})
    if known is not None:
        return known
    try:
        message_id = ids.decode(Message.PREFIX, view.kwargs["message_id"])
    except ids.InvalidId:
        return None
    found = _read(view, Part(one=message_id))
    if found is None or not found.messages:
        return None
    (shown,) = _messages(view, found, found.messages)
    return _tagged(view, found, {}, shown)


class _Reading:
    """Reads parts of the thread's messages, and remembers how the thread stood at first."""

    def __init__(self, view: InThread) -> None:
        self.view = view
        self.first: Whole | None = None

    def __call__(self, part: Part) -> list[MessageRow]:
        found = _read(self.view, part)
        self.first = self.first or found
        return [] if found is None else found.messages


def _messages(view: InThread, found: Whole, rows: list[MessageRow]) -> list[dict[str, Any]]:
    return from_rows.messages(found, rows, {"threads_path": view.threads_path})


def _known(view: InThread, asked: dict[str, str]) -> HttpResponse | None:
    """The answer to who has read the same messages of the thread as it is."""
    if view.request.headers.get("If-None-Match", ANY).strip() == ANY:  # what is not there is not known either
        return None
    found = _read(view, None)
    if found is None or not etags.is_known(view.request, _tag(view, found, asked)):
        return None
    return _tagged(view, found, asked, KNOWN)


def _tagged(view: InThread, found: Whole, asked: dict[str, str], body: Any) -> HttpResponse:
    reading.note(actor=view.actor, threads=[found.thread])
    response = as_json(body)
    etags.tag(response, _tag(view, found, asked))
    return response


def _tag(view: InThread, found: Whole, asked: dict[str, str]) -> str:
    return etags.of_version(view.actor, view.request.path, sorted(asked.items()), found.version)


def _by_objects(view: InThread, context: dict[str, Any]) -> Response:
    """Of a thread that was forked or archived; and where there is none for the reader, which raises."""
    thread = view.find_thread(with_agent=False)
    return Response(from_rows.threads_with_messages([thread], context | versions(thread, thread.branch))[0])


def _read(view: InThread, part: Part | None, known: str | None = None) -> Whole | None:
    thread_id, agent_id = view.named()
    return whole_rows.read(
        actor=view.acting, thread_id=thread_id, agent_id=agent_id, now=view.now, part=part, known=known
    )


def _unchanged(view: InThread, found: Whole, context: dict[str, Any]) -> HttpResponse | None:
    """The answer to who has the thread as it is."""
    tag = _whole_tag(view, found, context, from_rows.outlook_of(found, now=view.now))
    if not etags.is_known(view.request, tag):
        return None
    reading.note(actor=view.actor, threads=[found.thread])
    response = as_json(KNOWN)
    etags.tag(response, tag)
    return response


def _whole_tag(view: InThread, found: Whole, context: dict[str, Any], outlook: Outlook) -> str:
    return etags.of_version(view.actor, context, found.version, outlook)
