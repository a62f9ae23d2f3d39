"""What all views of the `ai` dialect share."""

from typing import Any, ClassVar

from rest_framework.request import Request

from threadhub.agents.access import AgentDisabled, AgentNotFound
from threadhub.api.ai.schema import AiSchema
from threadhub.api.authentication import CookieAuthentication
from threadhub.api.views import ApiViewSet
from threadhub.lib.errors import DomainError
from threadhub.workspaces.actor import Actor

VERSION_HEADER, VERSION = "X-API-Version", "v1"
YES = ("true", "1")
TOKEN_WORDINGS = {
    "invalid_chat_token": "authorization token is not valid.",
    "invalid_api_key": "Invalid or expired API token",
}


class AiViewSet(ApiViewSet):
    """The sign-in cookie counts here; admins may ask to be treated as anybody else.

    `wordings`: error code → the sentence that this address has for it.
    """

    authentication_classes = [CookieAuthentication]
    schema = AiSchema()
    wordings: ClassVar[dict[str, str]] = {}

    @property
    def actor(self) -> Actor:
        """Who is asking, without a view over everybody's threads where `bypassAdmin` was sent."""
        actor = super().actor
        return actor.as_member() if bypasses_admin(self.request) else actor

    @property
    def body(self) -> dict[str, Any]:
        """The request's JSON object."""
        return body_of(self.request)

    def handle_exception(self, exc: Exception) -> Any:
        if isinstance(exc, AgentDisabled):
            exc = AgentNotFound()  # "not found, or not active" is one answer in this dialect
        if isinstance(exc, DomainError):
            exc.message = {**TOKEN_WORDINGS, **self.wordings}.get(exc.code, exc.message)
        return super().handle_exception(exc)

    def finalize_response(self, request: Request, response: Any, *args: Any, **kwargs: Any) -> Any:
        response = super().finalize_response(request, response, *args, **kwargs)
        response.headers.setdefault(VERSION_HEADER, VERSION)
        return response


def bypasses_admin(request: Request) -> bool:
    """`bypassAdmin` of the query or the body, or the header `x-bypass-admin`."""
    asked = (
        request.query_params.get("bypassAdmin"),
        request.headers.get("x-bypass-admin"),
        body_of(request).get("bypassAdmin") if request.method not in ("GET", "HEAD") else None,
    )
    return any(str(value).lower() in YES for value in asked)


def body_of(request: Request) -> dict[str, Any]:
    """The request's JSON object; raises ParseError, UnsupportedMediaType, RequestTooLarge, Invalid."""
    body = request.data
    return body if isinstance(body, dict) else {}
