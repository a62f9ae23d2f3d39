"""What the views of both dialects share."""

from typing import Any, ClassVar

from django.utils import timezone
from rest_framework.request import Request
from rest_framework.viewsets import GenericViewSet

from threadhub.lib import ids
from threadhub.lib.errors import NotFound
from threadhub.workspaces.actor import Actor


class ApiViewSet(GenericViewSet[Any]):
    """Parse, one call into the domain, render. Subclasses declare `permissions` per HTTP method."""

    permissions: ClassVar[dict[str, Any]] = {}
    visitors: ClassVar[bool] = False  # whether a chat token may come here
    request: Request

    @property
    def actor(self) -> Actor:
        """Who is asking; the permission check has seen to it that somebody is."""
        actor = self.request.user
        assert isinstance(actor, Actor)  # noqa: S101
        return actor

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        self.now = timezone.now()

    def finalize_response(self, request: Request, response: Any, *args: Any, **kwargs: Any) -> Any:
        response = super().finalize_response(request, response, *args, **kwargs)
        response.headers.setdefault("Cache-Control", "private, no-cache")
        return response


def path_id(prefix: str, text: str, missing: type[NotFound]) -> Any:
    """The id in a path; any other spelling than the canonical one is not found, like an id that never existed."""
    try:
        return ids.decode(prefix, text)
    except ids.InvalidId:
        raise missing from None
