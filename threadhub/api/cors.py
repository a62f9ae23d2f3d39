"""Cross-origin requests: by the installation's list, and on chat sessions' paths by the agents' own lists.

An agent lets in pages of the origins it names; a session answers to the page that opened it. So the list is looked up
per request, but only under /chat_sessions, for requests that name an origin that is not on the installation's list.
"""

from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

from corsheaders.middleware import CorsMiddleware
from django.db import InterfaceError, OperationalError
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from psycopg_pool import PoolTimeout

from chat_sessions.models import ChatSession
from threadhub.agents import browsers
from threadhub.isolation.scope import Door, by_door
from threadhub.lib import ids
from threadhub.lib.asynchronous import in_thread

ROOT = "/chat_sessions"


class Cors(CorsMiddleware):
    """django-cors-headers, asking the agents as well. Never `*`, never credentials."""

    def __call__(self, request: HttpRequest) -> Any:
        if not self.async_mode:
            vars(request)["_page_let_in"] = self._concerns_agents(request) and lets_in(request)
        return super().__call__(request)

    async def __acall__(self, request: HttpRequest) -> HttpResponseBase:
        """The look-up must not be made in the event loop."""
        vars(request)["_page_let_in"] = self._concerns_agents(request) and await in_thread(lets_in)(request)
        return await super().__acall__(request)

    def check_signal(self, request: HttpRequest) -> bool:
        """The place where the library asks for more than its list."""
        return bool(vars(request).get("_page_let_in"))

    def _concerns_agents(self, request: HttpRequest) -> bool:
        origin = request.headers.get("Origin")
        here = request.path == ROOT or request.path.startswith(f"{ROOT}/")
        if not here or not origin or not origin.isprintable():
            return False
        try:
            return not self.origin_found_in_white_lists(origin, urlsplit(origin))
        except ValueError:
            return False


@by_door(Door.SIGN_IN)
def lets_in(request: HttpRequest) -> bool:
    """Whether a page of the request's origin may read the answer. A database that is away lets nobody in."""
    origin = request.headers["Origin"]
    _, _, below = request.path.removeprefix(ROOT).partition("/")
    try:
        if not below:
            return browsers.lets_in_somewhere(origin=origin)
        session_id = ids.decode(ChatSession.PREFIX, below.partition("/")[0])
        return _opened_by(session_id, origin)
    except (ids.InvalidId, OperationalError, InterfaceError, PoolTimeout):
        return False


def _opened_by(session_id: UUID, origin: str) -> bool:
    return ChatSession.objects.filter(pk=session_id, origin=origin).exists()
