"""Every view declares what it asks of the actor, per method; undeclared means refused."""

from typing import Any, ClassVar

from rest_framework.exceptions import MethodNotAllowed
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from threadhub.lib.errors import Unauthenticated
from threadhub.workspaces.actor import Actor, PermissionMissing
from threadhub.workspaces.permissions import Permission

Declared = dict[str, Permission | None]


class DeclaredPermission(BasePermission):
    """Reads `view.permissions`: HTTP method → the permission needed, or None for "whoever is signed in".

    Views that serve visitors say so (`visitors = True`): a chat token is refused everywhere else.
    """

    ANYONE: ClassVar[str] = "anyone"

    def has_permission(self, request: Request, view: Any) -> bool:
        """True, or one of MethodNotAllowed, Unauthenticated and PermissionMissing."""
        method = "GET" if request.method == "HEAD" else request.method or ""
        declared: dict[str, Any] = getattr(view, "permissions", {})
        if method == "OPTIONS":
            return True
        if method.lower() not in getattr(view, "action_map", {method.lower(): None}):
            raise MethodNotAllowed(method)
        if method not in declared:
            raise PermissionMissing
        if declared[method] == self.ANYONE:
            return True
        actor = request.user
        if not isinstance(actor, Actor):
            raise Unauthenticated
        if actor.kind == "session" and not getattr(view, "visitors", False):
            raise PermissionMissing("A chat token opens its own chat session's routes only.")
        if declared[method] is not None:
            actor.require(declared[method])
        return True
