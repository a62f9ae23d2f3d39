"""Signing in, up and out, and renewing tokens: what the clients of seed 000 call under `/api/`."""

from typing import Any, ClassVar

from django.conf import settings
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from threadhub.api.ai.inputs import accounts as inputs
from threadhub.api.ai.representations.accounts import SignedInObject, payload
from threadhub.api.ai.views.viewset import AiViewSet
from threadhub.api.authentication import COOKIE, bearer, check_origin
from threadhub.api.permissions import DeclaredPermission
from threadhub.lib import json
from threadhub.lib.errors import Forbidden
from threadhub.workspaces import accounts, sign_in
from threadhub.workspaces.sign_in import InvalidRefreshToken, Session, SignedIn, WrongPassword

COOKIE_PATH = "/api"
OAUTH = "oauth"


class NotASignIn(Forbidden):
    """An API token is not a sign-in; it is ended by revoking it."""

    code = "not_a_sign_in"


class Account(AiViewSet):
    """Calls that come before anybody is known: what else is sent along to prove who one is does not count."""

    authentication_classes = []
    permissions: ClassVar[dict[str, Any]] = {"POST": DeclaredPermission.ANYONE}

    @extend_schema(operation_id="sign_in", request=inputs.SignIn, responses=SignedInObject, auth=[])
    def sign_in(self, request: Request) -> Response:
        """Tokens with `authType: "oauth"`, else a cookie for `/api` that no script can read."""
        check_origin(request)
        asked = inputs.SignIn(data=self.body)
        asked.is_valid(raise_exception=True)
        signed_in = sign_in.with_password(
            username=asked.validated_data["username"],
            password=asked.validated_data["password"],
            workspace_id=inputs.workspace_id(asked.validated_data.get("workspace")),
            invitation=asked.validated_data.get("invitation"),
            now=self.now,
        )
        return self._signed_in(signed_in)

    @extend_schema(operation_id="sign_up", request=inputs.SignUp, responses=SignedInObject, auth=[])
    def sign_up(self, request: Request) -> Response:
        """A new account, signed in at once; 403 where signing up is switched off and nobody invited them."""
        check_origin(request)
        asked = inputs.SignUp(data=self.body)
        asked.is_valid(raise_exception=True)
        return self._signed_in(accounts.sign_up(now=self.now, **asked.validated_data))

    @extend_schema(operation_id="refresh_token", request=inputs.RefreshToken, responses=SignedInObject)
    def refresh(self, request: Request) -> Response:
        """New tokens for a refresh token, sent as Bearer or in the body; it works once."""
        asked = inputs.RefreshToken(data=self.body)
        asked.is_valid(raise_exception=True)
        token = bearer(request) or asked.validated_data.get("refreshToken")
        if not token:
            raise InvalidRefreshToken("A refresh token is required.")
        return Response(payload(sign_in.refresh(refresh_token=token, now=self.now), tokens=True))

    def handle_exception(self, exc: Exception) -> Any:
        response = super().handle_exception(exc)
        if isinstance(exc, WrongPassword):  # this dialect's own place for it, beside the message
            body = json.loads(response.content)
            response.content = json.dumps({**body, "errors": {"general": {"message": exc.message}}})
        return response

    def _signed_in(self, signed_in: SignedIn) -> Response:
        if self.body.get("authType") == OAUTH:
            return Response(payload(signed_in, tokens=True))
        response = Response(payload(signed_in, tokens=False))
        response.set_cookie(
            COOKIE,
            signed_in.access_token,
            max_age=settings.ACCESS_TOKEN_SECONDS,
            path=COOKIE_PATH,
            httponly=True,
            samesite="Lax",
            secure=settings.SESSION_COOKIE_SECURE or self.request.is_secure(),
        )
        return response


class Logout(AiViewSet):
    """Ends the sign-in that the request was made with."""

    permissions: ClassVar[dict[str, Any]] = {"POST": None}

    @extend_schema(operation_id="sign_out", request=None, responses={200: None})
    def create(self, request: Request) -> Response:
        """All tokens of this sign-in are void, and the cookie goes."""
        if not isinstance(request.auth, Session):
            raise NotASignIn
        sign_in.sign_out(session=request.auth, now=self.now)
        response = Response()
        response.delete_cookie(COOKIE, path=COOKIE_PATH, samesite="Lax")
        return response
