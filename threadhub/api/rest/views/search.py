"""`/search`: full text over messages."""

from typing import Any

from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_serializer
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from threadhub.agents.models import Agent
from threadhub.api.rest.filters import SOMETHING, an_id, user_named
from threadhub.api.rest.pagination import WHOLE_NUMBER, address, read_skip, read_take
from threadhub.api.rest.representations.search import HitRepresentation
from threadhub.api.rest.views.base import RestViewSet
from threadhub.lib.errors import Invalid
from threadhub.lib.json import timestamp
from threadhub.workspaces.actor import Actor
from threadhub.workspaces.permissions import Permission
from threads import reading
from threads.search import CANDIDATES, search

TAKE = 20
MAX_QUERY_CHARACTERS = 1_000
PARAMETERS = [
    OpenApiParameter(
        "q",
        {"type": "string", "minLength": 1, "maxLength": MAX_QUERY_CHARACTERS, "pattern": SOMETHING},
        required=True,
        description='All of these words; "…" for a phrase, -word for without.',
    ),
    OpenApiParameter("skip", {**WHOLE_NUMBER, "maximum": CANDIDATES}, default=0, description=f"At most {CANDIDATES}."),
    OpenApiParameter("take", WHOLE_NUMBER, default=TAKE, description="At most 100."),
    OpenApiParameter("agentId", str, description="In threads with this agent."),
    OpenApiParameter("userId", str, description="In threads of this user."),
]


@extend_schema_serializer(many=False)
class HitPage(serializers.Serializer[Any]):
    has_more = serializers.BooleanField(read_only=True)
    next = serializers.URLField(read_only=True, allow_null=True)
    previous = serializers.URLField(read_only=True, allow_null=True)
    since = serializers.DateTimeField(
        read_only=True,
        allow_null=True,
        help_text="Messages before that time were not looked through: the words are common. null: all were.",
    )
    data = HitRepresentation(many=True, read_only=True)  # type: ignore[assignment]


class Search(RestViewSet):
    permissions = {"GET": Permission.THREAD_READ}
    query = {"list": ("q", "skip", "take", "agentId", "userId")}

    @extend_schema(responses={200: HitPage}, parameters=PARAMETERS)
    def list(self, request: Request) -> Response:
        """The newest messages that match, in threads one may see: a thousand at most, so there is no count.

        Where words are common, of the threads of one agent, or of a person with very many, those that are among the
        newest five thousand hits of the workspace; `since` tells from when on.
        """
        text, skip, take = read_text(request), read_skip(request, limit=CANDIDATES), read_take(request, default=TAKE)
        found = search(
            actor=self.actor,
            text=text,
            skip=skip,
            take=take + 1 if take else 0,
            now=self.now,
            **read_ids(request, self.actor),
        )
        hits = found.hits
        reading.note_found(actor=self.actor, thread_ids=[hit.thread_id for hit in hits[:take]])
        following = address(request, skip=str(skip + take)) if len(hits) > take else None
        previous = address(request, skip=str(max(skip - take, 0))) if skip and take else None
        data = HitRepresentation(hits[:take], many=True).data
        links = {"has_more": following is not None, "next": following, "previous": previous}
        return Response({**links, "since": found.since and timestamp(found.since), "data": data})


def read_text(request: Request) -> str:
    """The parameter `q`. Raises Invalid."""
    text = request.query_params.get("q", "")
    if not text.strip():
        raise Invalid.at("query", "q", msg="Say in q what to search for.", type="missing")
    if len(text) > MAX_QUERY_CHARACTERS:
        raise Invalid.at("query", "q", msg=f"q may have at most {MAX_QUERY_CHARACTERS} characters.", type="max_length")
    return text


def read_ids(request: Request, actor: Actor) -> dict[str, Any]:
    """The filters `agentId` and `userId`, where they are given."""
    wanted = {}
    if "agentId" in request.query_params:
        wanted["agent_id"] = an_id(Agent.PREFIX)(request.query_params["agentId"])
    if "userId" in request.query_params:
        wanted["user_id"] = user_named(request.query_params["userId"], actor)
    return wanted
