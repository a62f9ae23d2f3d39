from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from threadhub.api.rest.representations.fields import WireId, moment
from threadhub.api.rest.representations.usage import UsageRepresentation, as_shown
from threads import branches
from threads.models import Attachment, Message, Run, Thread
from threads.runs.events import PERSON

ANY_JSON = {"nullable": True, "description": "Any JSON."}


def versions(thread: Thread, shown: int) -> dict[str, Any]:
    """The context with which a thread's messages tell their other versions; none for one that has no branches."""
    return {} if thread.path is None else {"versions": branches.versions(thread=thread, shown=shown)}


class DocumentRepresentation(serializers.Serializer[Any]):
    id = WireId(Attachment.PREFIX)
    filename = serializers.CharField(read_only=True)
    content_type = serializers.CharField(read_only=True)
    size = serializers.IntegerField(read_only=True, help_text="bytes")
    url = serializers.SerializerMethodField(help_text="Where to download it, with the same credentials.")

    def get_url(self, attachment: Attachment) -> str:
        base = self.context.get("threads_path", "/threads")
        thread_id = self.context.get("thread_wire_id") or WireId(Thread.PREFIX).to_representation(attachment.thread_id)
        return f"{base}/{thread_id}/attachments/{attachment.wire_id}"


class ToolCallRepresentation(serializers.Serializer[Any]):
    """`function` is seed 003's word for the name; both are there."""

    id = serializers.CharField(read_only=True)
    function = serializers.CharField(source="name", read_only=True)
    name = serializers.CharField(read_only=True)
    arguments = serializers.DictField(read_only=True)


class MessageRepresentation(serializers.Serializer[Any]):
    """Seed 003's message, and `position` onwards what threadhub adds."""

    id = WireId(Message.PREFIX)
    thread_id = WireId(Thread.PREFIX)
    role = serializers.ChoiceField(choices=Message.Role.values, read_only=True)
    message_type = serializers.SerializerMethodField()
    content = serializers.CharField(read_only=True, allow_null=True)
    title = serializers.CharField(read_only=True, allow_null=True)
    tool_calls = ToolCallRepresentation(many=True, read_only=True, allow_null=True)
    tool_call_id = serializers.CharField(read_only=True, allow_null=True)
    tool_result = extend_schema_field(ANY_JSON)(serializers.JSONField)(read_only=True)
    created_at = moment()
    updated_at = moment()
    position = serializers.IntegerField(read_only=True)
    name = serializers.CharField(read_only=True, allow_null=True)
    documents = DocumentRepresentation(source="attachments", many=True, read_only=True)
    partial = serializers.BooleanField(  # type: ignore[assignment]
        read_only=True, help_text="The answer was cut short: cancelled, or its provider failed."
    )
    author = serializers.SerializerMethodField(
        help_text="`person` where a member of staff wrote it in the agent's place; null for all others."
    )
    run_id = WireId(Run.PREFIX, allow_null=True)
    usage = serializers.SerializerMethodField(help_text="Of the call of the model that wrote it.")
    extra = serializers.DictField(read_only=True, help_text="What a client of the other dialect sent beside these.")
    branches = serializers.ListField(
        child=serializers.IntegerField(),
        read_only=True,
        required=False,
        help_text="Where a thread has branches and is read by itself: those that have a version of this message, the"
        " branch that is read and one for each other version, oldest version first. Empty where there is one only.",
    )

    def to_representation(self, instance: Message) -> dict[str, Any]:
        """`branches` from the context's `versions`, where the view looked for them."""
        message: dict[str, Any] = super().to_representation(instance)
        versions = self.context.get("versions")
        if versions is not None:
            message["branches"] = versions.get(instance.position, [])
        return message

    @extend_schema_field({"type": "string", "enum": ["person"], "nullable": True})
    def get_author(self, message: Message) -> str | None:
        return PERSON if message.by_person else None

    @extend_schema_field(UsageRepresentation(allow_null=True))
    def get_usage(self, message: Message) -> dict[str, Any] | None:
        return as_shown(message.usage, self.context)

    @extend_schema_field({"type": "string", "enum": ["text", "image", "pdf", "document"]})
    def get_message_type(self, message: Message) -> str:
        """A document is `pdf`, seed 003's word, unless its file is of another type."""
        if message.kind != Message.Kind.DOCUMENT:
            return message.kind
        types = {attachment.content_type for attachment in message.attachments.all()}
        return "pdf" if types <= {"application/pdf"} else "document"
