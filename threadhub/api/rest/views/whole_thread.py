"""A thread with its messages, as three paths read it: by rows where it can be read so, and not at all by who has it."""

from typing import Any

from rest_framework.response import Response

from threadhub.api import etags
from threadhub.api.rest.representations import from_rows
from threadhub.api.rest.representations.messages import versions
from threadhub.api.rest.views.base import InThread
from threads import reading, whole_rows
from threads.whole_rows import Whole

KNOWN: dict[str, Any] = {}  # the body of an answer that its asker has: it is not sent


def answer(view: InThread) -> Response:
    """The thread of the view's path. Raises ThreadNotFound, ChatSessionNotFound."""
    context = {"threads_path": view.threads_path}
    asked = "If-None-Match" in view.request.headers
    found = _read(view, with_messages=not asked)
    if found is None:
        return _by_objects(view, context)
    reading.note(actor=view.actor, threads=[found.thread])
    response = _shown(view, found, context, only_if_new=asked)
    if response is None:
        found = _read(view, with_messages=True)
        response = _shown(view, found, context) if found is not None else None
    return response if response is not None else _by_objects(view, context)


def _by_objects(view: InThread, context: dict[str, Any]) -> Response:
    """Of a thread that was forked or archived; and where there is none for the reader, which raises."""
    thread = view.find_thread(with_agent=False)
    return Response(from_rows.threads_with_messages([thread], context | versions(thread, thread.branch))[0])


def _read(view: InThread, *, with_messages: bool) -> Whole | None:
    thread_id, agent_id = view.named()
    return whole_rows.read(
        actor=view.acting, thread_id=thread_id, agent_id=agent_id, now=view.now, with_messages=with_messages
    )


def _shown(view: InThread, found: Whole, context: dict[str, Any], *, only_if_new: bool = False) -> Response | None:
    """The answer with its tag. `only_if_new`: None where its asker has none or an older one."""
    outlook = from_rows.outlook_of(found, now=view.now)
    tag = etags.of_version(view.actor, context, found.version, outlook)
    if only_if_new and not etags.is_known(view.request, tag):
        return None
    response = Response(KNOWN if only_if_new else from_rows.whole(found, context, outlook=outlook))
    etags.tag(response, tag)
    return response
