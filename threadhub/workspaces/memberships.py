"""Members of workspaces: who belongs where, and what that lets them do."""

from uuid import UUID

from django.db import transaction

from threadhub import audit
from threadhub.lib.errors import Forbidden
from threadhub.workspaces.models import Membership, User, Workspace
from threadhub.workspaces.permissions import ROLE_PERMISSIONS, Permission, Role


class NoWorkspace(Forbidden):
    """You are not a member of any workspace."""

    code = "no_workspace"


def permissions_of(*, user_id: UUID, workspace_id: UUID) -> frozenset[Permission]:
    """What the user may do in the workspace; nothing where they are no member (any more)."""
    role = Membership.objects.filter(user_id=user_id, workspace_id=workspace_id).values_list("role", flat=True).first()
    return ROLE_PERMISSIONS[Role(role)] if role else frozenset()


def first_workspace(*, user: User, wanted: UUID | None = None) -> Membership | None:
    """The membership to sign in with: the wanted workspace's if the user is a member there, else the oldest."""
    memberships = Membership.objects.filter(user=user).select_related("workspace").order_by("created_at", "id")
    if wanted is not None:
        return memberships.filter(workspace_id=wanted).first()
    return memberships.first()


@transaction.atomic
def join(*, workspace: Workspace, user: User, role: Role, by: audit.Who | None = None) -> Membership:
    """Make a user a member. `by`: who does it; None is the installation itself."""
    membership = Membership.objects.create(workspace=workspace, user=user, role=role.value)
    audit.record(
        actor=by or audit.By("system", workspace.pk),
        action="member.join",
        ids=[user.wire_id, workspace.wire_id],
        details={"role": role.value},
    )
    return membership
