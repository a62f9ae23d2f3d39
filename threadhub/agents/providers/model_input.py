"""Our request in the words of pydantic-ai. What a provider is sent depends on nothing but the ModelRequest."""

from __future__ import annotations

from typing import TYPE_CHECKING

from threadhub.agents.provider_errors import ProviderRequestInvalid
from threadhub.agents.providers.request import ContextMessage, DocumentInput, ImageInput, ModelRequest

if TYPE_CHECKING:
    from pydantic_ai import messages as wire
    from pydantic_ai.models import ModelRequestParameters
    from pydantic_ai.settings import ModelSettings

TEXT_TYPES = frozenset({"application/json", "application/xml", "application/yaml", "application/x-yaml"})


def to_messages(request: ModelRequest) -> list[wire.ModelMessage]:
    """The instructions as the first system message, then the context in its order.

    What stands between two answers becomes one wire message with several parts. An answer that is empty (a
    run that failed before its first word) is left out: services refuse it.
    """
    from pydantic_ai import messages as wire

    result: list[wire.ModelMessage] = []
    parts: list[wire.ModelRequestPart] = []
    if request.instructions:
        parts.append(wire.SystemPromptPart(content=request.instructions))
    for message in request.messages:
        if message.role != "assistant":
            parts.append(_request_part(message))
            continue
        answer = _answer(message)
        if answer.parts:
            if parts:
                result.append(wire.ModelRequest(parts=parts))
            parts = []
            result.append(answer)
    if parts:
        result.append(wire.ModelRequest(parts=parts))
    return result


def to_parameters(request: ModelRequest) -> ModelRequestParameters:
    """The tools, their schemas as they are: `strict` modes of a service would change them."""
    from pydantic_ai.models import ModelRequestParameters
    from pydantic_ai.tools import ToolDefinition

    return ModelRequestParameters(
        function_tools=[
            ToolDefinition(
                name=tool.name,
                description=tool.description,
                parameters_json_schema=tool.parameters,
                strict=False,
            )
            for tool in request.tools
        ]
    )


def to_settings(request: ModelRequest) -> ModelSettings:
    """The sampling parameters that are set, and the timeout."""
    from pydantic_ai.settings import ModelSettings

    settings = ModelSettings(timeout=request.timeout_seconds)
    if request.temperature is not None:
        settings["temperature"] = request.temperature
    if request.top_p is not None:
        settings["top_p"] = request.top_p
    if request.max_output_tokens is not None:
        settings["max_tokens"] = request.max_output_tokens
    if request.stop:
        settings["stop_sequences"] = list(request.stop)
    return settings


def _request_part(message: ContextMessage) -> wire.ModelRequestPart:
    from pydantic_ai import messages as wire

    if message.role == "system":
        return wire.SystemPromptPart(content=message.content)
    if message.role == "tool":
        return wire.ToolReturnPart(
            tool_name=message.tool_name or "tool",
            content=message.content,
            tool_call_id=message.tool_call_id or "",
        )
    if not message.inputs:
        return wire.UserPromptPart(content=message.content)
    content: list[wire.UserContent] = [message.content] if message.content else []
    for item in message.inputs:
        content.extend(_attachment(item))
    return wire.UserPromptPart(content=content)


def _answer(message: ContextMessage) -> wire.ModelResponse:
    from pydantic_ai import messages as wire

    parts: list[wire.ModelResponsePart] = []
    if message.content:
        parts.append(wire.TextPart(content=message.content))
    for call in message.tool_calls:
        parts.append(wire.ToolCallPart(tool_name=call.name, args=call.arguments, tool_call_id=call.id))
    return wire.ModelResponse(parts=parts)


def _attachment(item: ImageInput | DocumentInput) -> list[wire.UserContent]:
    """A picture, or a document after a line with its name, which services would not be told otherwise."""
    from pydantic_ai import messages as wire

    content = wire.BinaryContent(data=item.data, media_type=item.media_type)
    if isinstance(item, ImageInput):
        if not content.is_image:
            raise ProviderRequestInvalid("The model cannot be shown a picture of this type.")
        return [content]
    if item.media_type.startswith("text/") or item.media_type in TEXT_TYPES:
        return [f"File {item.filename}:\n{item.data.decode('utf-8', 'replace')}"]
    if not content.is_document:
        raise ProviderRequestInvalid("The model cannot be shown a document of this type.")
    return [f"File {item.filename}:", content]
