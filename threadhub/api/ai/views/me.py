"""`/api/me`: the user behind the request."""

from typing import Any, ClassVar

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from threadhub.api.ai.inputs import accounts as inputs
from threadhub.api.ai.representations.accounts import MeObject
from threadhub.api.ai.views.viewset import AiViewSet
from threadhub.workspaces import accounts, workspaces
from threadhub.workspaces.models import User
from threadhub.workspaces.sign_in import Session


class Me(AiViewSet):
    """Whoever is signed in, or acted for by an API token."""

    permissions: ClassVar[dict[str, Any]] = {"GET": None, "POST": None}
    wordings: ClassVar[dict[str, str]] = {"unauthenticated": "you are not authorized. must be logged in."}

    @extend_schema(operation_id="me_get", responses=MeObject)
    def retrieve(self, request: Request) -> Response:
        """The user, flat."""
        return self._me(User.objects.get(pk=self.actor.user_id))

    @extend_schema(operation_id="me_change", request=inputs.Me, responses=MeObject)
    def update(self, request: Request) -> Response:
        """Change what is named, and nothing else. A new password ends the user's other sign-ins."""
        asked = inputs.Me(data=self.body)
        asked.is_valid(raise_exception=True)
        keep = request.auth.sign_in_id if isinstance(request.auth, Session) else None
        return self._me(accounts.change(actor=self.actor, now=self.now, keep_sign_in=keep, **asked.validated_data))

    def _me(self, user: User) -> Response:
        return Response(MeObject(user, context={"membership": workspaces.current(actor=self.actor)}).data)
