from threadhub.workspaces.models.api_key import ApiKey
from threadhub.workspaces.models.end_user import EndUser
from threadhub.workspaces.models.invitation import Invitation
from threadhub.workspaces.models.membership import Membership
from threadhub.workspaces.models.refresh_token import RefreshToken
from threadhub.workspaces.models.user import User
from threadhub.workspaces.models.workspace import Workspace

__all__ = ["ApiKey", "EndUser", "Invitation", "Membership", "RefreshToken", "User", "Workspace"]
