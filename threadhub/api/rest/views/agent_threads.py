"""The threads of one agent: `/agents/{agent_id}/threads` and below."""

from typing import Any

from django.http import HttpResponse
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from chat_sessions.models import EXTERNAL_REF_CHARACTERS
from threadhub.agents import access as agents
from threadhub.api.rest.filters import ThreadFilter
from threadhub.api.rest.inputs import plain_bodies
from threadhub.api.rest.inputs.threads import NewThread, ThreadUpsert
from threadhub.api.rest.pagination import KeysetPagination
from threadhub.api.rest.representations import from_rows
from threadhub.api.rest.representations.threads import ThreadRepresentation, ThreadWithMessages
from threadhub.api.rest.views import whole_thread
from threadhub.api.rest.views.base import InThread
from threadhub.lib import json
from threadhub.lib.errors import Invalid
from threadhub.workspaces.permissions import Permission
from threads import access
from threads.actions import at_once, threads
from threads.models import Thread
from threads.querysets.threads import ThreadQuerySet


class AgentThreads(InThread):
    permissions = {
        "GET": Permission.THREAD_READ,
        "POST": Permission.THREAD_WRITE,
        "PUT": Permission.THREAD_WRITE,
    }
    short_way = frozenset({"list", "create", "retrieve"})
    filterset_class = ThreadFilter
    pagination_class = KeysetPagination

    def get_queryset(self) -> ThreadQuerySet:
        agent = agents.get(actor=self.actor, agent_id=self.agent_id)
        return access.visible(actor=self.actor).with_agent(agent.id)

    @extend_schema(responses={200: ThreadRepresentation(many=True)})
    def list(self, request: Request, agent_id: str) -> HttpResponse:
        queryset = self.get_queryset()
        page = self.page_of_rows(agent_id=self.agent_id)
        if page is not None:
            return page
        return self.get_paginated_response(from_rows.threads(self.filtered_page(queryset)))

    @extend_schema(request=NewThread, responses={200: ThreadRepresentation})
    def create(self, request: Request, agent_id: str) -> Response:
        plain = plain_bodies.thread(request.data)
        if plain is not None:
            new = at_once.create(actor=self.actor, agent_id=self.agent_id, now=self.now, **plain)
            if new is not None:
                (shown,) = from_rows.page(new, now=self.now)
                return Response(shown, headers={"Location": f"/threads/{shown['id']}"})
        fields = NewThread.parse(request)
        thread = threads.create(actor=self.actor, agent_id=self.agent_id, now=self.now, **fields)
        return made(thread, status=200)

    @extend_schema(responses={200: ThreadWithMessages})
    def retrieve(self, request: Request, **path: Any) -> HttpResponse:
        return whole_thread.answer(self)

    @extend_schema(request=ThreadUpsert, responses={200: ThreadRepresentation, 201: ThreadRepresentation})
    def upsert(self, request: Request, agent_id: str, external_ref: str) -> Response:
        check_reference(external_ref)
        fields = ThreadUpsert.parse(request)
        found = threads.upsert_by_ref(
            actor=self.actor, agent_id=self.agent_id, external_ref=external_ref, now=self.now, **fields
        )
        return made(found.thread, status=201 if found.created else 200)


def made(thread: Thread, status: int, base: str = "/threads") -> Response:
    """A thread with the address where it is from now on."""
    headers = {"Location": f"{base}/{thread.wire_id}"}
    return Response(from_rows.threads([thread])[0], status=status, headers=headers)


def check_reference(external_ref: str) -> None:
    """Refuse what no reference in a body could be. Raises Invalid."""
    if json.UNSTORABLE.search(external_ref):
        raise Invalid.at("path", "external_ref", msg="Text must not contain NUL or lone surrogate characters.")
    if len(external_ref) > EXTERNAL_REF_CHARACTERS:
        message = f"An external_ref has at most {EXTERNAL_REF_CHARACTERS} characters."
        raise Invalid.at("path", "external_ref", msg=message, type="max_length")
