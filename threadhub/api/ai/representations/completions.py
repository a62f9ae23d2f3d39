"""The answer of a run as one JSON document: OpenAI's chat completion, or the tools that the client must call."""

from typing import Any

from rest_framework import serializers

from threadhub.api.ai.representations.messages import ToolCallObject, tool_call
from threads.models import Message, Run


class CompletionMessage(serializers.Serializer[Any]):
    role = serializers.CharField(help_text="assistant")
    content = serializers.CharField()


class CompletionChoice(serializers.Serializer[Any]):
    index = serializers.IntegerField()
    message = CompletionMessage()
    finish_reason = serializers.ChoiceField(choices=["stop", "length", "content_filter", "tool_calls"])


class UsageObject(serializers.Serializer[Any]):
    prompt_tokens = serializers.IntegerField()
    completion_tokens = serializers.IntegerField()
    total_tokens = serializers.IntegerField()


class ApprovalObject(serializers.Serializer[Any]):
    """A call that is made once a person approves it."""

    id = serializers.CharField()
    tool_call_id = serializers.CharField()
    name = serializers.CharField()
    arguments = serializers.DictField()
    expires_at = serializers.CharField()


class CompletionObject(serializers.Serializer[Any]):
    """OpenAI's chat completion; `created` is whole seconds since 1970. Where the model asks for tools of the client,
    `type` is `client_tool_calls` and the calls are named: `functionCalls` the client's, `assistantToolCalls` all. Where
    it asks for nothing but tools that a person must approve, `type` is `approval_required`: the thread goes on by
    itself once that is decided. `approvals` names those calls in either case."""

    id = serializers.CharField()
    object = serializers.ChoiceField(choices=["chat.completion"])
    created = serializers.IntegerField()
    model = serializers.CharField(allow_blank=True)
    choices = CompletionChoice(many=True)
    usage = UsageObject()
    type = serializers.ChoiceField(choices=["client_tool_calls", "approval_required"], required=False)
    functionCalls = ToolCallObject(many=True, required=False)
    backendResults = serializers.ListField(child=serializers.DictField(), required=False)
    assistantToolCalls = ToolCallObject(many=True, required=False)
    approvals = ApprovalObject(many=True, required=False)


def completion(run: Run) -> dict[str, Any]:
    """The answer of a run that succeeded or waits for the client's tools. One query: its message."""
    message = Message.objects.filter(pk=run.answer_id, workspace_id=run.workspace_id).first()
    said: dict[str, Any] = {"role": "assistant", "content": (message and message.content) or ""}
    pending = awaited(run.required_action, (message and message.tool_calls) or []) if _waits(run) else {}
    if "assistantToolCalls" in pending:
        said["tool_calls"] = pending["assistantToolCalls"]
    return {
        **pending,
        **head(run),
        "object": "chat.completion",
        "choices": [{"index": 0, "message": said, "finish_reason": finish_reason(run.finish_reason, pending)}],
        "usage": usage(run.input_tokens or 0, run.output_tokens or 0),
    }


def head(run: Run) -> dict[str, Any]:
    """What every document and chunk of one answer has in common."""
    return {
        "id": f"chatcmpl-{run.answer_id}",
        "created": int(run.created_at.timestamp()),
        "model": run.model or run.provider,
    }


def usage(input_tokens: int, output_tokens: int) -> dict[str, int]:
    """Tokens in OpenAI's words."""
    return {
        "prompt_tokens": input_tokens,
        "completion_tokens": output_tokens,
        "total_tokens": input_tokens + output_tokens,
    }


def awaited(required: dict[str, Any] | None, calls: list[dict[str, Any]]) -> dict[str, Any]:
    """What others have to do with the calls at the end of a run; `required`: as the run keeps it."""
    required = required or {"tool_calls": [], "approvals": []}
    clients = {call["id"] for call in required["tool_calls"]}
    approvals = {"approvals": required["approvals"]} if required["approvals"] else {}
    if approvals and not clients:
        return {"type": "approval_required", **approvals}
    return {
        "type": "client_tool_calls",
        "functionCalls": [tool_call(call) for call in calls if call["id"] in clients],
        "backendResults": [],
        "assistantToolCalls": [tool_call(call) for call in calls],
        **approvals,
    }


def finish_reason(reason: str, pending: dict[str, Any]) -> str:
    """Why the answer ended: `tool_calls` only where the client has some to make."""
    return "stop" if not reason or pending.get("type") == "approval_required" else reason


def _waits(run: Run) -> bool:
    return run.status == Run.Status.REQUIRES_ACTION
