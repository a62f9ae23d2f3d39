"""Who is acting. Every domain function that reads or writes for somebody takes an Actor."""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal
from uuid import UUID

from threadhub.lib.errors import Forbidden
from threadhub.workspaces.permissions import ON_BEHALF, Permission, Role


class PermissionMissing(Forbidden):
    """You may see this, but your role or key does not allow this action."""

    code = "permission_missing"


@dataclass(frozen=True)
class Actor:
    """A user, an API key, a chat session or the system itself, in one workspace, with what it may do there.

    `user_id` is the person it acts as: threads it makes are theirs. A chat session acts for a visitor and reaches
    threads by (agent_id, external_ref) instead; an API key with an `agent_id` reaches that agent only.

    `member_id` and `role` are the person whom it counts as where an agent is limited to some: nobody for a workspace's
    key, whoever it speaks for. `end_user_id` is set to their user_id where it acts for one end user only.
    """

    kind: Literal["user", "key", "session", "system"]
    workspace_id: UUID
    permissions: frozenset[Permission]
    user_id: UUID | None = None
    key_id: UUID | None = None
    session_id: UUID | None = None
    agent_id: UUID | None = None
    external_ref: str | None = None
    personal_key: bool = False  # of a key: it acts as its user, not as a server of the workspace
    member_id: UUID | None = None
    role: Role | None = None
    end_user_id: UUID | None = None
    own_user_id: UUID | None = None  # of a person who acts on behalf of another: who they are themselves
    rate_limit: int | None = None  # of a key: requests a minute, where it has a limit of its own

    @cached_property
    def identity(self) -> str:
        """Who this is, in one word that stays the same: `key:…`, `session:…`, `user:…` or `system`."""
        who = self.session_id or self.key_id or self.own_user_id or self.user_id
        return f"{self.kind}:{who}" if who else self.kind

    @cached_property
    def on_behalf_of(self) -> str | None:
        """The person for whom a key or a session's token acts, or an admin for another, as `user:…`."""
        for_somebody = self.kind in ("key", "session") or self.end_user_id is not None
        return f"user:{self.user_id}" if self.user_id and for_somebody else None

    @property
    def caller(self) -> str:
        """Who asks and for which end user: what one was answered is not for another."""
        return self.identity if self.end_user_id is None else f"{self.identity}:{self.end_user_id}"

    @property
    def is_person(self) -> bool:
        """Whether this is a signed-in person as themselves, who alone may change what an account stands on."""
        return self.kind == "user" and self.end_user_id is None

    def may(self, permission: Permission) -> bool:
        return permission in self.permissions

    def require(self, permission: Permission) -> None:
        """Raise PermissionMissing unless the actor holds `permission`."""
        if permission not in self.permissions:
            raise PermissionMissing(permission=permission)

    def as_member(self) -> "Actor":
        """The same actor without its view over everybody's threads."""
        return replace(self, permissions=self.permissions - {Permission.THREAD_READ_ALL})

    def acting_for(self, *, user_id: UUID, role: Role | None) -> "Actor":
        """The same actor on behalf of an end user, of whose threads it then sees those, with no more leave than needed
        for that. It counts as them for limited agents only if it could lift the limits."""
        counts = self.may(Permission.AGENT_WRITE)
        return replace(
            self,
            permissions=self.permissions & ON_BEHALF,
            user_id=user_id,
            end_user_id=user_id,
            own_user_id=self.user_id,
            member_id=user_id if counts else self.member_id,
            role=role if counts else self.role,
        )

    def as_speaker(self) -> "Actor":
        """The same actor where it speaks in a thread as the thread's user: a person does so in their own threads only,
        whatever their role; a workspace's key speaks for whom its server says."""
        return self.as_member() if self.kind == "user" or self.personal_key else self


def system(workspace_id: UUID) -> Actor:
    """The hub acting by itself: workers, sweeps, commands."""
    return Actor(kind="system", workspace_id=workspace_id, permissions=frozenset(Permission))
