"""Permissions, one verb on one noun each, and the roles and key scopes that are lists of them."""

from enum import StrEnum


class Permission(StrEnum):
    THREAD_READ = "thread.read"
    THREAD_READ_ALL = "thread.read_all"  # every thread of the workspace, not only one's own
    THREAD_WRITE = "thread.write"
    THREAD_DELETE = "thread.delete"
    THREAD_ARCHIVE = "thread.archive"  # into a bundle and back, out of the trash
    RETENTION_READ = "retention.read"
    RETENTION_WRITE = "retention.write"
    HOLD_READ = "hold.read"
    HOLD_WRITE = "hold.write"
    PERSON_ERASE = "person.erase"  # everything of a person, for ever
    EXPORT_WRITE = "export.write"  # many threads at once, of whomever, as a file
    MESSAGE_APPEND = "message.append"  # any role, by a server; a visitor's words come in by invoking
    MESSAGE_DELETE = "message.delete"
    THREAD_TAKE_OVER = "thread.take_over"  # answer in the agent's place
    THREAD_ANNOTATE = "thread.annotate"  # whose it is, labels, internal notes: nothing that a client sees
    CANNED_ANSWER_WRITE = "canned_answer.write"
    FEEDBACK_GIVE = "feedback.give"
    AGENT_READ = "agent.read"
    AGENT_WRITE = "agent.write"
    AGENT_INVOKE = "agent.invoke"
    TOOL_APPROVE = "tool.approve"  # decide whether a call that the model asks for is made
    CHAT_SESSION_READ = "chat_session.read"
    CHAT_SESSION_WRITE = "chat_session.write"
    USAGE_READ = "usage.read"  # tokens, money and budgets of the workspace
    WORKSPACE_READ = "workspace.read"
    WORKSPACE_WRITE = "workspace.write"  # its name and its being
    SETTINGS_WRITE = "settings.write"  # how it goes about things: the policy of external_refs
    MEMBER_READ = "member.read"
    MEMBER_WRITE = "member.write"  # all but owners
    OWNER_WRITE = "owner.write"  # who is an owner
    KEY_READ = "key.read"
    KEY_WRITE = "key.write"
    END_USER_READ = "end_user.read"
    END_USER_ACT = "end_user.act"  # on behalf of one, or of a member
    AUDIT_READ = "audit.read"  # the audit trail and access alerts


P = Permission
READ = frozenset({P.THREAD_READ, P.AGENT_READ, P.WORKSPACE_READ})
MEMBER = READ | {P.THREAD_WRITE, P.THREAD_DELETE, P.AGENT_INVOKE, P.FEEDBACK_GIVE}
OWNER_ONLY = frozenset({P.WORKSPACE_WRITE, P.OWNER_WRITE, P.AUDIT_READ, P.PERSON_ERASE})
OWNER = frozenset(Permission)
ADMIN = OWNER - OWNER_ONLY
# Who answers in the agents' place, and says whose a thread is; changes nothing that others set up.
SUPPORT = READ | {
    P.THREAD_READ_ALL,
    P.THREAD_TAKE_OVER,
    P.THREAD_ANNOTATE,
    P.CANNED_ANSWER_WRITE,
    P.CHAT_SESSION_READ,
    P.END_USER_READ,
}
# Who answers for what is kept, for how long, and for what goes; makes and answers nothing.
COMPLIANCE = READ | {
    P.THREAD_READ_ALL,
    P.THREAD_DELETE,
    P.THREAD_ARCHIVE,
    P.RETENTION_READ,
    P.RETENTION_WRITE,
    P.HOLD_READ,
    P.HOLD_WRITE,
    P.PERSON_ERASE,
    P.EXPORT_WRITE,
    P.AUDIT_READ,
    P.CHAT_SESSION_READ,
    P.END_USER_READ,
}
# What anybody may do who acts for an end user: a server's key may also append messages of any role.
END_USER = MEMBER
ON_BEHALF = END_USER | {P.MESSAGE_APPEND, P.MESSAGE_DELETE}
# What a key may do at most that reaches one agent only: nothing that concerns the workspace as a whole.
BOUND = ON_BEHALF | {P.THREAD_READ_ALL, P.CHAT_SESSION_READ, P.CHAT_SESSION_WRITE, P.END_USER_ACT}
VISITOR = frozenset(
    {P.THREAD_READ, P.THREAD_WRITE, P.THREAD_DELETE, P.AGENT_INVOKE, P.CHAT_SESSION_READ, P.FEEDBACK_GIVE}
)


class Role(StrEnum):
    """A user's place in a workspace."""

    OWNER = "owner"
    ADMIN = "admin"
    SUPPORT = "support"
    COMPLIANCE = "compliance"
    MEMBER = "member"
    VIEWER = "viewer"


ROLE_PERMISSIONS: dict[Role, frozenset[Permission]] = {
    Role.OWNER: OWNER,
    Role.ADMIN: ADMIN,
    Role.SUPPORT: SUPPORT,
    Role.COMPLIANCE: COMPLIANCE,
    Role.MEMBER: MEMBER,
    Role.VIEWER: READ,
}


class Scope(StrEnum):
    """What an API key may do: each scope adds to the others. None makes it an owner."""

    READ = "read"
    WRITE = "write"
    INVOKE = "invoke"
    ADMIN = "admin"


SCOPE_PERMISSIONS: dict[Scope, frozenset[Permission]] = {
    Scope.READ: READ | {P.THREAD_READ_ALL, P.CHAT_SESSION_READ, P.END_USER_READ},
    Scope.WRITE: frozenset(
        {
            P.THREAD_WRITE,
            P.THREAD_DELETE,
            P.MESSAGE_APPEND,
            P.MESSAGE_DELETE,
            P.CHAT_SESSION_WRITE,
            P.END_USER_ACT,
        }
    ),
    Scope.INVOKE: frozenset({P.AGENT_INVOKE, P.FEEDBACK_GIVE}),
    Scope.ADMIN: ADMIN | {P.AUDIT_READ},  # so it is an owner's to give
}
