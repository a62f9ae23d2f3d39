"""The bodies that hot writes are sent with most, recognised without their serializers: whatever is not of the plainest
form is left to them, and so are all errors. A test holds that what is taken here the serializers read the same way.
"""

from typing import Any

from chat_sessions.models import EXTERNAL_REF_CHARACTERS
from threadhub.api.rest.inputs.messages import NAME_CHARACTERS
from threadhub.api.rest.inputs.strict import METADATA_BYTES, TITLE_CHARACTERS
from threadhub.lib import json
from threads.actions.messages import Draft
from threads.models import Message

MESSAGE = frozenset({"role", "content", "title", "name", "message_type"})
THREAD = frozenset({"title", "metadata", "external_ref"})
ROLES = frozenset(Message.Role.values)


def message(body: Any) -> Draft | None:
    """As inputs.messages.draft, of a text without anything beside it. None: ask that."""
    if type(body) is not dict or not MESSAGE.issuperset(body):
        return None
    role, content, name = body.get("role"), body.get("content"), body.get("name")
    if type(role) is not str or role not in ROLES or type(content) is not str or name == "":
        return None
    if body.get("message_type") not in (None, "text") or not _is_text(name, NAME_CHARACTERS):
        return None
    title = body.get("title")
    return Draft(role=role, content=content, title=title, name=name) if _is_text(title, TITLE_CHARACTERS) else None


def thread(body: Any) -> dict[str, Any] | None:
    """As inputs.threads.NewThread.parse. None: ask that."""
    if type(body) is not dict or not THREAD.issuperset(body):
        return None
    if not _is_text(body.get("title"), TITLE_CHARACTERS):
        return None
    if not _is_text(body.get("external_ref"), EXTERNAL_REF_CHARACTERS):
        return None
    metadata = body.get("metadata")
    if metadata is not None and (type(metadata) is not dict or len(json.dumps(metadata)) > METADATA_BYTES):
        return None
    return dict(body)


def _is_text(value: Any, characters: int) -> bool:
    return value is None or (type(value) is str and len(value) <= characters)
