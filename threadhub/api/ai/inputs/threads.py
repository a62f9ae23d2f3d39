"""What `POST /api/ai/threads` takes."""

from typing import Any

from drf_spectacular.utils import extend_schema_serializer
from rest_framework import serializers

INTEGRATION_REQUIRED = "Valid integration ID is required"
MAX_TITLE = 1_000


@extend_schema_serializer(component_name="AiNewThread")
class NewThread(serializers.Serializer[Any]):
    """`integration` and, optionally, `title`; anything else is ignored."""

    integration = serializers.CharField(
        error_messages=dict.fromkeys(("required", "null", "blank", "invalid"), INTEGRATION_REQUIRED),
        help_text="The id of the integration (agent) that answers in the thread.",
    )
    title = serializers.CharField(
        required=False, allow_null=True, allow_blank=True, trim_whitespace=False, max_length=MAX_TITLE
    )
