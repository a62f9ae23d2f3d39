"""Which noun a name on the wire means: in a path, a query or a body. An id that is not listed here fails loudly."""

import re

from tests.trust.operations import Operation

IN_PATH = {
    "agent_id": "agent",
    "approval_id": "approval",
    "chat_session_id": "chat_session",
    "erasure_id": "erasure",
    "export_id": "export",
    "external_ref": "external_ref",
    "file_id": "attachment",
    "hold_id": "hold",
    "integration_id": "agent",
    "invitation_id": "invitation",
    "key_id": "api_key",
    "message_id": "message",
    "number": "branch",
    "policy_id": "policy",
    "run_id": "run",
    "thread_id": "thread",
    "token_id": "key",
    "tool_id": "tool",
    "user_id": "user",
    "workspace_id": "workspace",
}
ELSEWHERE = {
    "actor": "user",
    "agentId": "agent",
    "agent_id": "agent",
    "chat_token": "chat_token",
    "externalRef": "external_ref",
    "external_ref": "external_ref",
    "id": "thread",
    "integration": "agent",
    "message_id": "message",
    "refreshToken": "refresh_token",
    "refresh_token": "refresh_token",
    "threadId": "thread",
    "thread_id": "thread",
    "target_id": "thread",
    "token": "invitation_token",
    "tool_call_id": "tool_call",
    "tool_id": "tool",
    "up_to_message_id": "message",
    "user": "user",
    "userId": "user",
    "user_id": "user",
    "workspace": "workspace",
    "workspace_id": "workspace",
}
LISTS = {
    "allowed_keys": "api_key",
    "allowed_users": "user",
    "enabled_tools": "tool",
    "tools": "tool",
}  # of a body: arrays of ids
# What ends like an id and is none: a client's own words.
NO_IDS: set[str] = set()
LOOKS_LIKE_AN_ID = re.compile(r"(^id|_id|Id|_ids|Ids)$")


class UnknownName(Exception):
    """The document has an id that the table above does not know: say there which noun it means."""


def in_path(operation: Operation) -> dict[str, str]:
    """Path parameter → noun."""
    unknown = [name for name in operation.in_path if name not in IN_PATH]
    if unknown:
        raise UnknownName(f"{operation}: the path's {', '.join(unknown)}")
    return {name: IN_PATH[name] for name in operation.in_path}


def elsewhere(operation: Operation, names: list[str] | tuple[str, ...]) -> dict[str, str]:
    """Query parameter or property of a body → noun, of those that name something."""
    unknown = [name for name in names if LOOKS_LIKE_AN_ID.search(name) and name not in {*ELSEWHERE, *NO_IDS}]
    if unknown:
        raise UnknownName(f"{operation}: {', '.join(unknown)} of its query or body")
    return {name: noun for name, noun in {**ELSEWHERE, **LISTS}.items() if name in names}
