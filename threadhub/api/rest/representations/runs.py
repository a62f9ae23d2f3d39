from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from threadhub.agents.context import fingerprint
from threadhub.agents.models import Agent
from threadhub.agents.providers.request import ContextMessage, DocumentInput, ModelRequest
from threadhub.api.rest.representations.fields import WireId, moment
from threadhub.api.rest.representations.messages import ANY_JSON, MessageRepresentation
from threadhub.api.rest.representations.usage import UsageRepresentation, as_shown
from threadhub.lib import ids
from threadhub.workspaces.models import User
from threads.models import Message, Run, Thread
from threads.runs.spending import amount_of

ANSWERED = (Run.Status.SUCCEEDED, Run.Status.REQUIRES_ACTION)


class RunErrorRepresentation(serializers.Serializer[Any]):
    code = serializers.CharField(read_only=True)
    message = serializers.CharField(read_only=True)


class RefusedTool(serializers.Serializer[Any]):
    """A call that the model asked for and that was not made."""

    tool_call_id = serializers.CharField(read_only=True)
    name = serializers.CharField(read_only=True)
    code = serializers.CharField(read_only=True)


class AwaitedCall(serializers.Serializer[Any]):
    id = serializers.CharField(read_only=True)
    name = serializers.CharField(read_only=True)
    arguments = serializers.DictField(read_only=True)


class AwaitedApproval(serializers.Serializer[Any]):
    id = serializers.CharField(read_only=True, help_text="As in /approvals/{id}.")
    tool_call_id = serializers.CharField(read_only=True)
    name = serializers.CharField(read_only=True)
    arguments = serializers.DictField(read_only=True)
    expires_at = serializers.CharField(read_only=True)


class RequiredAction(serializers.Serializer[Any]):
    """`tool_calls`: the client runs these and brings what they gave. `approvals`: made once they are approved."""

    tool_calls = AwaitedCall(many=True, read_only=True)
    approvals = AwaitedApproval(many=True, read_only=True)


class RunRepresentation(serializers.Serializer[Any]):
    id = WireId(Run.PREFIX)
    thread_id = WireId(Thread.PREFIX)
    agent_id = WireId(Agent.PREFIX)
    user_id = WireId(User.PREFIX, allow_null=True)
    branch = serializers.IntegerField(read_only=True, help_text="Of the thread; the one that was active.")
    status = serializers.ChoiceField(choices=Run.Status.values, read_only=True)
    provider = serializers.CharField(read_only=True)
    model = serializers.CharField(read_only=True)
    message_id = serializers.SerializerMethodField(help_text="The answer, once it is there.")
    finish_reason = serializers.CharField(read_only=True)
    error = serializers.SerializerMethodField()
    usage = serializers.SerializerMethodField()
    enabled_tools = serializers.ListField(child=serializers.CharField(), read_only=True, allow_null=True)
    ignored_tools = serializers.ListField(child=serializers.CharField(), read_only=True)
    refused_tools = RefusedTool(many=True, read_only=True)
    required_action = serializers.SerializerMethodField(help_text="What the run waits for, as long as it does.")
    continues = WireId(Run.PREFIX, allow_null=True, help_text="The run whose step this one went on with.")
    continued_by = WireId(Run.PREFIX, allow_null=True, help_text="The run that went on where this one stopped.")
    created_at = moment()
    started_at = moment(allow_null=True)
    finished_at = moment(allow_null=True)

    def get_message_id(self, run: Run) -> str | None:
        return ids.encode(Message.PREFIX, run.answer_id) if run.status in ANSWERED else None

    @extend_schema_field(RequiredAction(allow_null=True))
    def get_required_action(self, run: Run) -> Any:
        return run.required_action if run.waiting else None

    @extend_schema_field(RunErrorRepresentation(allow_null=True))
    def get_error(self, run: Run) -> dict[str, str] | None:
        return {"code": run.error_code, "message": run.error_message} if run.error_code else None

    @extend_schema_field(UsageRepresentation(allow_null=True))
    def get_usage(self, run: Run) -> dict[str, Any] | None:
        return as_shown(usage(run), self.context)


class ToolResultRepresentation(serializers.Serializer[Any]):
    tool_call_id = serializers.CharField(read_only=True)
    name = serializers.CharField(read_only=True, allow_null=True)
    content = extend_schema_field(ANY_JSON)(serializers.JSONField)(read_only=True)
    is_error = serializers.BooleanField(read_only=True)


class AnswerData(serializers.Serializer[Any]):
    answer = serializers.CharField(read_only=True)
    message = MessageRepresentation(read_only=True)
    messages = MessageRepresentation(many=True, read_only=True, help_text="All that this run added, in order.")
    tool_results = ToolResultRepresentation(many=True, read_only=True)
    run_id = serializers.CharField(read_only=True)
    status = serializers.ChoiceField(choices=Run.Status.values, read_only=True)
    finish_reason = serializers.CharField(read_only=True)
    usage = UsageRepresentation(read_only=True, allow_null=True)
    ignored_tools = serializers.ListField(child=serializers.CharField(), read_only=True)
    refused_tools = RefusedTool(many=True, read_only=True)
    required_action = RequiredAction(read_only=True, allow_null=True)


class Answer(serializers.Serializer[Any]):
    success = serializers.BooleanField(read_only=True)
    error = serializers.CharField(read_only=True, allow_null=True)
    data = AnswerData(read_only=True)  # type: ignore[assignment]
    message_id = serializers.CharField(read_only=True)
    thread_id = serializers.CharField(read_only=True)


class ContextRepresentation(serializers.Serializer[Any]):
    """The input of the model; files by type and size only. `hash` is over what is told here, `sent_hash` over what was
    sent: they differ where messages or the agent were changed since."""

    run_id = serializers.CharField(read_only=True)
    hash = serializers.CharField(read_only=True)
    sent_hash = serializers.CharField(read_only=True, allow_null=True)
    model = serializers.CharField(read_only=True)
    instructions = serializers.CharField(read_only=True, allow_null=True)
    messages = serializers.ListField(child=serializers.DictField(), read_only=True)
    tools = serializers.ListField(child=serializers.DictField(), read_only=True)
    temperature = serializers.FloatField(read_only=True, allow_null=True)
    top_p = serializers.FloatField(read_only=True, allow_null=True)
    max_output_tokens = serializers.IntegerField(read_only=True, allow_null=True)
    stop = serializers.ListField(child=serializers.CharField(), read_only=True)


def usage(run: Run) -> dict[str, Any] | None:
    """Tokens and cost of the whole run; None while nobody has counted them."""
    return None if run.input_tokens is None else amount_of(run).as_dict()


def context(run: Run, request: ModelRequest) -> dict[str, Any]:
    """What ContextRepresentation describes."""
    return {
        "run_id": run.wire_id,
        "hash": fingerprint(request),
        "sent_hash": run.context["hash"] if run.context else None,
        "model": request.model,
        "instructions": request.instructions,
        "messages": [_context_message(message) for message in request.messages],
        "tools": [
            {"name": tool.name, "description": tool.description, "parameters": tool.parameters}
            for tool in request.tools
        ],
        "temperature": request.temperature,
        "top_p": request.top_p,
        "max_output_tokens": request.max_output_tokens,
        "stop": list(request.stop),
    }


def _context_message(message: ContextMessage) -> dict[str, Any]:
    written: dict[str, Any] = {"role": message.role, "content": message.content}
    if message.tool_calls:
        written["tool_calls"] = [
            {"id": call.id, "function": call.name, "name": call.name, "arguments": call.arguments}
            for call in message.tool_calls
        ]
    if message.tool_call_id is not None:
        written |= {"tool_call_id": message.tool_call_id, "name": message.tool_name}
    if message.inputs:
        written["inputs"] = [
            {
                "media_type": item.media_type,
                "size": len(item.data),
                "filename": item.filename if isinstance(item, DocumentInput) else None,
            }
            for item in message.inputs
        ]
    return written
