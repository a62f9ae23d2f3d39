"""What a tool call gave: the same shape for every kind of tool."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from threadhub.agents.tools.errors import ToolError


@dataclass(frozen=True, slots=True)
class ToolOutput:
    """A result to show to the model; a failure is one too.

    `content` is a JSON value or text; of a failure, `{"error": sentence, …}`. `status` is the HTTP status, where
    there was one. `error_code` is one of the codes of `errors`. `reason` is for those who configure the tool.
    `may_have_acted` is False only where no request of this call was sent, so that repeating it is safe.
    """

    content: Any
    is_error: bool = False
    status: int | None = None
    error_code: str | None = None
    reason: str | None = None
    may_have_acted: bool = True

    @classmethod
    def failed(
        cls, error: ToolError, *, status: int | None = None, may_have_acted: bool = True, body: Any = None
    ) -> ToolOutput:
        """The output of a call that ended in `error`; `body` is what the service had to say about it."""
        content: dict[str, Any] = {"error": error.message}
        if body is not None:
            content["body"] = body
        return cls(content, True, status, error.code, error.reason, may_have_acted)
