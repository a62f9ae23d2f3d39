"""`…/messages/{message_id}/feedback`: what the one who asks thinks of an answer."""

from typing import Any

from drf_spectacular.utils import extend_schema, extend_schema_field
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from threadhub.api.rest.inputs.strict import Strict, Text, Whole
from threadhub.api.rest.representations.fields import WireId, moment
from threadhub.api.rest.views.base import InThread
from threadhub.api.views import path_id
from threadhub.workspaces.actor import Actor
from threadhub.workspaces.permissions import Permission
from threads import access
from threads.actions import feedback
from threads.models import Feedback, Message, Thread


@extend_schema_field({"type": "integer", "enum": Feedback.Rating.values})
class Rating(Whole):
    """One of its two values."""


class FeedbackGiven(Strict):
    rating = Rating(help_text="1 for a good answer, -1 for a bad one.")
    tags = serializers.ListField(child=Text(max_length=50), required=False, max_length=10)
    text = Text(required=False, allow_blank=True, max_length=5_000)

    def validate_rating(self, rating: int) -> int:
        if rating not in Feedback.Rating.values:
            raise serializers.ValidationError("A rating is 1 or -1.")
        return rating


class FeedbackRepresentation(serializers.Serializer[Feedback]):
    message_id = WireId(Message.PREFIX)
    rating = serializers.IntegerField(read_only=True)
    tags = serializers.ListField(child=serializers.CharField(), read_only=True)
    text = serializers.CharField(read_only=True)
    created_at = moment()
    updated_at = moment()


class Feedbacks(InThread):
    """Each user, visitor and key has one opinion of an answer: PUT gives or replaces it."""

    permissions = {
        "GET": Permission.THREAD_READ,
        "PUT": Permission.FEEDBACK_GIVE,
        "DELETE": Permission.FEEDBACK_GIVE,
    }

    @extend_schema(responses={200: FeedbackRepresentation})
    def retrieve(self, request: Request, **path: Any) -> Response:
        actor, _, message = self._found()
        return Response(FeedbackRepresentation(feedback.own(actor=actor, message=message)).data)

    @extend_schema(request=FeedbackGiven, responses={200: FeedbackRepresentation})
    def give(self, request: Request, **path: Any) -> Response:
        actor, thread, message = self._found()
        fields = FeedbackGiven.parse(request)
        given = feedback.give(actor=actor, thread=thread, message=message, now=self.now, **fields)
        given.refresh_from_db()
        return Response(FeedbackRepresentation(given).data)

    @extend_schema(responses={204: None})
    def destroy(self, request: Request, **path: Any) -> Response:
        actor, _, message = self._found()
        feedback.withdraw(actor=actor, message=message)
        return Response(status=204)

    def _found(self) -> tuple[Actor, Thread, Message]:
        actor = self.acting
        thread = self.find_thread(actor)
        message_id = path_id(Message.PREFIX, self.kwargs["message_id"], access.MessageNotFound)
        return actor, thread, access.get_message(thread=thread, message_id=message_id)
