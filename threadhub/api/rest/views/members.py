"""`/workspaces/{workspace_id}/members` and `/invitations`: who belongs to a workspace, and who may come to."""

from uuid import UUID

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from threadhub.agents import leaving
from threadhub.api.rest.inputs.access import Acceptance, MemberChange, NewMember
from threadhub.api.rest.pagination import KeysetPagination
from threadhub.api.rest.representations.access import (
    InvitationRepresentation,
    MemberRepresentation,
    NewInvitation,
)
from threadhub.api.rest.views.base import RestViewSet
from threadhub.api.rest.views.workspaces import InWorkspace
from threadhub.api.views import path_id
from threadhub.workspaces import invitations, memberships
from threadhub.workspaces.models import Invitation, User
from threadhub.workspaces.permissions import Permission


class Members(InWorkspace):
    """A member may always leave; whether anybody else may be changed is for the domain to say."""

    permissions = {
        "GET": Permission.MEMBER_READ,
        "POST": Permission.MEMBER_WRITE,
        "PATCH": Permission.MEMBER_WRITE,
        "DELETE": Permission.WORKSPACE_READ,
    }
    pagination_class = KeysetPagination

    @extend_schema(responses={200: MemberRepresentation(many=True)})
    def list(self, request: Request, workspace_id: str) -> Response:
        self.find_workspace()
        return self.page(memberships.visible(actor=self.actor), MemberRepresentation)

    @extend_schema(request=NewMember, responses={201: NewInvitation})
    def create(self, request: Request, workspace_id: str) -> Response:
        """An invitation for a person, with a token to pass on to them. Accepting it makes them a member."""
        body, workspace = NewMember.parse(request), self.find_workspace()
        invitation, token = invitations.create(actor=self.actor, invitee=body["user"], role=body["role"], now=self.now)
        headers = {
            "Location": f"/workspaces/{workspace.wire_id}/invitations/{invitation.wire_id}",
            "Cache-Control": "no-store",
        }
        shown = {**InvitationRepresentation(invitation).data, "token": token}
        return Response(shown, status=201, headers=headers)

    @extend_schema(request=MemberChange, responses={200: MemberRepresentation})
    def partial_update(self, request: Request, workspace_id: str, user_id: str) -> Response:
        role = MemberChange.parse(request)["role"]
        self.find_workspace()
        member = memberships.change_role(actor=self.actor, user_id=self._user_id(), role=role, now=self.now)
        return Response(MemberRepresentation(member).data)

    @extend_schema(responses={204: None})
    def destroy(self, request: Request, workspace_id: str, user_id: str) -> Response:
        """Their sign-ins and personal keys stop working here at once; their threads stay."""
        self.find_workspace()
        leaving.remove_member(actor=self.actor, user_id=self._user_id(), now=self.now)
        return Response(status=204)

    def _user_id(self) -> UUID:
        user_id: UUID = path_id(User.PREFIX, self.kwargs["user_id"], memberships.MemberNotFound)
        return user_id


class Invitations(InWorkspace):
    """The open ones."""

    permissions = {"GET": Permission.MEMBER_READ, "DELETE": Permission.MEMBER_WRITE}
    pagination_class = KeysetPagination

    @extend_schema(responses={200: InvitationRepresentation(many=True)})
    def list(self, request: Request, workspace_id: str) -> Response:
        self.find_workspace()
        return self.page(invitations.visible(actor=self.actor, now=self.now), InvitationRepresentation)

    @extend_schema(responses={204: None})
    def destroy(self, request: Request, workspace_id: str, invitation_id: str) -> Response:
        """The token opens nothing any more."""
        self.find_workspace()
        found = path_id(Invitation.PREFIX, invitation_id, invitations.InvitationNotFound)
        invitations.withdraw(actor=self.actor, invitation_id=found, now=self.now)
        return Response(status=204)


class Acceptances(RestViewSet):
    """`/invitations/accept`, for a person who is signed in (to any workspace)."""

    permissions = {"POST": None}

    @extend_schema(request=Acceptance, responses={200: MemberRepresentation})
    def create(self, request: Request) -> Response:
        """They are a member from now on, and may sign in to that workspace."""
        token = Acceptance.parse(request)["token"]
        member = invitations.accept_as(actor=self.actor, token=token, now=self.now)
        return Response(MemberRepresentation(member).data)
