from typing import Any

from rest_framework import serializers

from chat_sessions.models import EXTERNAL_REF_CHARACTERS
from threadhub.api.rest.inputs.strict import Metadata, Strict, Text, Whole, tool_names
from threadhub.lib import json

MAX_VECTORS = 100
NAME_CHARACTERS = 200
VISITOR_METADATA_BYTES = 2_048
LAST_SECOND = 2**40  # of a Unix time


class AboutVisitor(Metadata):
    """What staff may know of a visitor: small, for it may come from anybody."""

    default_error_messages = {"too_large": f"metadata may have at most {VISITOR_METADATA_BYTES} bytes as JSON."}

    def to_internal_value(self, data: Any) -> Any:
        value = super().to_internal_value(data)
        if len(json.dumps(value)) > VISITOR_METADATA_BYTES:
            self.fail("too_large")
        return value


class Visitor(Strict):
    """What both ways of opening a session may say of the visitor."""

    name = Text(required=False, allow_null=True, allow_blank=True, max_length=NAME_CHARACTERS)
    metadata = AboutVisitor(required=False, allow_null=True)


class NewChatSession(Visitor):
    """By a server with its key: it vouches for the reference."""

    agent_id = Text()
    external_ref = Text(max_length=EXTERNAL_REF_CHARACTERS)
    allowed_vectors = serializers.ListField(required=False, allow_null=True, max_length=MAX_VECTORS)
    system_prompt_variables = Metadata(required=False, allow_null=True)
    enabled_tools = tool_names(help_text="Narrows the agent's tools in all of the session's runs.")


class NewVisit(Visitor):
    """By a web page, without any key of a server. Without a reference the visitor is anonymous."""

    agent_key = Text(max_length=64, help_text="The agent's public key.")
    external_ref = Text(required=False, allow_null=True, max_length=EXTERNAL_REF_CHARACTERS)
    identity_proof = Text(
        required=False, allow_null=True, max_length=64,
        help_text="Hex HMAC-SHA256 by the agent's identity secret over external_ref.",
    )  # fmt: skip
    identity_expires_at = Whole(
        required=False, allow_null=True, min_value=0, max_value=LAST_SECOND,
        help_text="Unix time; the proof is then over external_ref, a NUL and this number.",
    )  # fmt: skip


class ChatSessionRefresh(Strict):
    """The refresh token, where it does not come in the Authorization header."""

    refresh_token = Text(required=False, allow_null=True)


class ChatSessionRevocation(Strict):
    """At least one of them; all that are named must fit."""

    rules = {"minProperties": 1}
    agent_id = Text(required=False)
    external_ref = Text(required=False, max_length=EXTERNAL_REF_CHARACTERS)
    user_id = Text(required=False)


class ChatSessionClaim(Strict):
    chat_token = Text()
    user_id = Text(required=False, help_text="With a workspace's key: the user who claims.")
