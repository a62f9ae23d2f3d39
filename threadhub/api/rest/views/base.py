"""What the views of this dialect share."""

from functools import partial
from typing import Any, ClassVar
from uuid import UUID

from django.db.models import QuerySet
from django.http import HttpResponse
from rest_framework.exceptions import MethodNotAllowed
from rest_framework.request import Request
from rest_framework.response import Response

from chat_sessions import sessions
from chat_sessions.models import ChatSession
from threadhub.agents.access import AgentNotFound
from threadhub.agents.models import Agent
from threadhub.api.renderers import as_json
from threadhub.api.rest import filters, kept_pages, unknown
from threadhub.api.rest.filters import FilterSetBackend
from threadhub.api.rest.pagination import KeysetPagination, UncountedPagination
from threadhub.api.rest.representations import written
from threadhub.api.rest.schema import RestSchema
from threadhub.api.views import ApiViewSet, path_id
from threadhub.workspaces.actor import Actor
from threads import access, reading, thread_rows
from threads.models import Thread


class RestViewSet(ApiViewSet):
    """Strict about methods and query parameters: `query` names those that an action takes beside its list's own."""

    schema = RestSchema()
    query: ClassVar[dict[str, tuple[str, ...]]] = {}
    filter_backends = (FilterSetBackend,)
    filterset_class: Any = None
    pagination_class: Any = None

    def check_permissions(self, request: Request) -> None:
        """A method that is not served here is 405 to everybody, before the question of leave."""
        if (request.method or "").lower() not in {*self.action_map, "options"}:
            raise MethodNotAllowed(request.method or "")
        super().check_permissions(request)

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        if request.method != "OPTIONS":
            unknown.check_query(request, self._known_query())

    def page(self, queryset: QuerySet[Any], representation: Any, **context: Any) -> Response:
        """A page of a filtered list."""
        rows = self.filtered_page(queryset)
        return self.get_paginated_response(representation(rows, many=True, context=context).data)

    def filtered_page(self, queryset: QuerySet[Any]) -> list[Any]:
        """The rows of a page of a filtered list."""
        rows: Any = self.paginate_queryset(self.filter_queryset(queryset))
        return list(rows)

    def page_of_rows(self, **more: Any) -> HttpResponse | None:
        """A page of threads by prepared statements. None: ask the queryset. Raises Invalid."""
        kept = kept_pages.find(self.request, self.actor, now=self.now)
        if kept is not None:
            return kept
        wanted = filters.wanted(self.request, self.actor, **more)
        if wanted is None:
            return None
        read = partial(thread_rows.page, wanted, now=self.now)
        assert isinstance(self.paginator, KeysetPagination)  # noqa: S101
        page = self.paginator.page_of_rows(read, self.request, self)
        if page is None:
            return None
        threads, until = written.page(page, now=self.now)
        body = self.paginator.envelope(threads)
        if page.version is None:
            return as_json(body)
        return kept_pages.answer(self.request, self.actor, body, page.version, now=self.now, until=until)

    def _known_query(self) -> tuple[str, ...]:
        action = self.action or ""
        names = self.query.get(action, ())
        if action == "list" and self.filterset_class is not None:
            names += tuple(self.filterset_class.base_filters)
        if action == "list" and self.pagination_class in (KeysetPagination, UncountedPagination):
            names += KeysetPagination.names
        return names


class InThread(RestViewSet):
    """A view under a thread's path: the workspace's, its agent's or a chat session's."""

    @property
    def acting(self) -> Actor:
        """Who is acting; under a session's path its visitor. Raises ChatSessionNotFound."""
        text = self.kwargs.get("chat_session_id")
        if text is None:
            return self.actor
        session_id = path_id(ChatSession.PREFIX, text, sessions.ChatSessionNotFound)
        return sessions.enter(actor=self.actor, session_id=session_id, now=self.now)

    def find_thread(self, actor: Actor | None = None, *, with_agent: bool = True) -> Thread:
        """The thread that the path names. Raises ThreadNotFound, ChatSessionNotFound."""
        actor = actor or self.acting
        thread_id, agent_id = self.named()
        thread = access.get(actor=actor, thread_id=thread_id, agent_id=agent_id, with_agent=with_agent)
        if self.request.method in ("GET", "HEAD"):
            reading.note(actor=self.actor, threads=[thread])
        return thread

    def named(self) -> tuple[UUID, UUID | None]:
        """The ids of the thread, and of its agent, that the path names. Raises ThreadNotFound for what is no id."""
        agent = self.kwargs.get("agent_id")
        return (
            path_id(Thread.PREFIX, self.kwargs["thread_id"], access.ThreadNotFound),
            path_id(Agent.PREFIX, agent, access.ThreadNotFound) if agent is not None else None,
        )

    @property
    def threads_path(self) -> str:
        """Where the threads of this path are: files of messages are linked from there."""
        session = self.kwargs.get("chat_session_id")
        return f"/chat_sessions/{session}/threads" if session is not None else "/threads"

    @property
    def agent_id(self) -> UUID:
        """The agent that the path names. Raises AgentNotFound for what cannot be an id."""
        agent_id: UUID = path_id(Agent.PREFIX, self.kwargs["agent_id"], AgentNotFound)
        return agent_id
