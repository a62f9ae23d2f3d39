"""Bodies that make branches, turn to them, or copy."""

from typing import Any

from rest_framework import serializers

from threadhub.agents.models import DoubleTexting
from threadhub.api.rest.inputs.invoke import ThreadInvoke
from threadhub.api.rest.inputs.strict import Strict, Text, Whole
from threadhub.api.rest.inputs.threads import NewThread

INTERRUPT = DoubleTexting.INTERRUPT.value


class Regenerate(ThreadInvoke):
    """An invoke without question and documents: those of the answer are asked again. No waiting with `enqueue`."""

    prompt = None  # type: ignore[assignment]
    documents = None  # type: ignore[assignment]


class Activation(Strict):
    double_texting = serializers.ChoiceField(
        choices=[DoubleTexting.REJECT.value, INTERRUPT],
        required=False,
        allow_null=True,
        help_text="What happens while a question of the thread is answered: 409, or the answer is cut short.",
    )


class ThreadCopy(NewThread):
    """Up to `position` of the active branch, or up to `message_id` of the branch that has it; else all of the active
    one. `title` and `metadata` are the old thread's where they are not sent."""

    rules = {
        "not": {
            "required": ["position", "message_id"],
            "properties": {"position": {"type": "integer"}, "message_id": {"type": "string"}},
        }
    }
    position = Whole(required=False, allow_null=True, min_value=1)
    message_id = Text(required=False, allow_null=True)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if attrs.get("position") is not None and attrs.get("message_id") is not None:
            raise serializers.ValidationError({"message_id": ["Send position or message_id, not both."]})
        return attrs
