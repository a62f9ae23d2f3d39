"""What a provider is asked: the whole input of one model call, with no trace of threads or requests in it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from threadhub.agents.events import ToolCall

Purpose: TypeAlias = Literal["answer", "summary", "title"]
ContextRole: TypeAlias = Literal["system", "user", "assistant", "tool"]


@dataclass(frozen=True, slots=True)
class ImageInput:
    """A picture shown to the model; `media_type` such as `image/png`."""

    data: bytes
    media_type: str


@dataclass(frozen=True, slots=True)
class DocumentInput:
    """A file shown to the model; `media_type` such as `application/pdf`."""

    data: bytes
    media_type: str
    filename: str


@dataclass(frozen=True, slots=True)
class ContextMessage:
    """One message of the model's input.

    `tool_calls` belong to role assistant; `tool_call_id` and `tool_name` to role tool, whose `content` is the
    result; `inputs` to role user.
    """

    role: ContextRole
    content: str
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str | None = None
    tool_name: str | None = None
    inputs: tuple[ImageInput | DocumentInput, ...] = ()


@dataclass(frozen=True, slots=True)
class ToolSpec:
    """A tool the model may ask for; `parameters` is a JSON Schema of type object."""

    name: str
    description: str
    parameters: dict[str, Any]


@dataclass(frozen=True, slots=True)
class ModelRequest:
    """One call of a model, for an answer or for the hub's own ends (`purpose`). `None` leaves a parameter to the
    provider's own default.

    `timeout_seconds` is the longest silence borne: until the connection stands, and between two pieces of the
    answer. How long a whole answer may take is the run's to limit.
    """

    model: str
    instructions: str | None
    messages: tuple[ContextMessage, ...]
    tools: tuple[ToolSpec, ...] = ()
    temperature: float | None = None
    top_p: float | None = None
    max_output_tokens: int | None = None
    stop: tuple[str, ...] = ()
    timeout_seconds: float = 120.0
    purpose: Purpose = "answer"
