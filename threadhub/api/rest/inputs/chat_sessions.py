from rest_framework import serializers

from chat_sessions.models import EXTERNAL_REF_CHARACTERS
from threadhub.api.rest.inputs.strict import Metadata, Strict, Text

MAX_VECTORS = 100


class NewChatSession(Strict):
    agent_id = Text()
    external_ref = Text(max_length=EXTERNAL_REF_CHARACTERS)
    allowed_vectors = serializers.ListField(required=False, allow_null=True, max_length=MAX_VECTORS)
    system_prompt_variables = Metadata(required=False, allow_null=True)


class ChatSessionRefresh(Strict):
    """The refresh token, where it does not come in the Authorization header."""

    refresh_token = Text(required=False, allow_null=True)
