"""Bodies that ask an agent."""

from collections.abc import Sequence
from typing import Any

from rest_framework import serializers
from rest_framework.request import Request

from chat_sessions.models import EXTERNAL_REF_CHARACTERS
from threadhub.agents.models import DoubleTexting
from threadhub.api.rest.inputs.documents import documents, uploads
from threadhub.api.rest.inputs.strict import Strict, Text, Truth, tool_names
from threadhub.api.rest.inputs.tool_outputs import client_tools
from threads.actions.messages import Draft
from threads.attachments import Upload
from threads.models import Message
from threads.runs.start import Wish


class ThreadInvoke(Strict):
    """Seed 003's body, with the documents that its clients send."""

    prompt = Text()
    enabled_tools = tool_names()
    client_tools = client_tools()
    documents = documents()
    double_texting = serializers.ChoiceField(
        choices=DoubleTexting.values,
        required=False,
        allow_null=True,
        help_text="What happens while another question of the thread is answered; as the agent has it by default.",
    )


class AgentInvoke(ThreadInvoke):
    """Asks in `thread_id`, or in a new thread. Exactly one of `input` and `prompt`."""

    prompt = Text(required=False, allow_null=True)
    input = Text(required=False, allow_null=True)
    thread_id = Text(required=False, allow_null=True)
    external_ref = Text(required=False, allow_null=True, allow_blank=True, max_length=EXTERNAL_REF_CHARACTERS)
    enable_streaming = Truth(required=False, allow_null=True)
    show_tool_calls = Truth(required=False, allow_null=True)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        given = [name for name in ("prompt", "input") if attrs.get(name) is not None]
        if len(given) != 1:
            message = "Send the question as input, or as prompt." if not given else "Send input or prompt, not both."
            raise serializers.ValidationError({"prompt": [message]}, code="required")
        attrs["prompt"] = attrs[given[0]]
        if attrs.get("thread_id") is not None and attrs.get("external_ref") is not None:
            message = "external_ref is for a new thread; thread_id names one that is there."
            raise serializers.ValidationError({"external_ref": [message]})
        return attrs


class Asking:
    """A parsed question: the messages to append, and what the run is asked beyond them."""

    def __init__(self, body: dict[str, Any]) -> None:
        self.body = body
        self.drafts = [*document_drafts(uploads(body.get("documents"))), Draft(Message.Role.USER, body["prompt"])]
        self.wish = wish_of(body)

    @classmethod
    def parse(cls, request: Request, form: type[ThreadInvoke]) -> "Asking":
        """Raises ValidationError, AttachmentRefused, AttachmentTooLarge; nothing is stored then."""
        return cls(form.parse(request))


def wish_of(body: dict[str, Any]) -> Wish:
    """What a validated body asks of the run beyond its messages."""
    strategy = body.get("double_texting")
    return Wish(
        enabled_tools=body.get("enabled_tools"),
        client_tools=body.get("client_tools") or (),
        double_texting=DoubleTexting(strategy) if strategy else None,
    )


def document_drafts(files: Sequence[Upload]) -> list[Draft]:
    """Each file as a message of its own before the question, as seed 003 prints them: no content, a title."""
    return [
        Draft(
            role=Message.Role.USER,
            kind=Message.Kind.IMAGE if file.is_image else Message.Kind.DOCUMENT,
            title=file.filename,
            uploads=[file],
        )
        for file in files
    ]
