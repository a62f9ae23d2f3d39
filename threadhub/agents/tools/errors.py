"""What can go wrong in a tool call, each with a stable code.

The message is safe to show to the model and to whoever asked: no address, no secret, nothing the service sent.
`reason` says more, for those who configure the tool; it names no address either, since that would make tools a way
to look around in the installation's network.
"""

from __future__ import annotations

from threadhub.lib.errors import DomainError


class ToolError(DomainError):
    """The tool could not be called."""

    code = "tool_error"

    def __init__(self, message: str | None = None, *, reason: str | None = None) -> None:
        super().__init__(message)
        self.reason = reason


class ToolTimeout(ToolError):
    """The tool took too long to answer."""

    code = "tool_timeout"


class ToolTooLarge(ToolError):
    """The tool answered with more than a tool result may be."""

    code = "tool_too_large"


class ToolAddressRefused(ToolError):
    """The tool's address is not one that this installation may call."""

    code = "tool_address_refused"


class ToolBadResponse(ToolError):
    """The tool sent an answer that cannot be read."""

    code = "tool_bad_response"


class ToolHttpError(ToolError):
    """The tool answered with an error."""

    code = "tool_http_error"


class ToolArgumentsInvalid(ToolError):
    """The arguments do not fit the tool."""

    code = "tool_arguments_invalid"


class ToolUnavailable(ToolError):
    """The tool could not be reached."""

    code = "tool_unavailable"


ERRORS: dict[str, type[ToolError]] = {
    error.code: error
    for error in (
        ToolTimeout,
        ToolTooLarge,
        ToolAddressRefused,
        ToolBadResponse,
        ToolHttpError,
        ToolArgumentsInvalid,
        ToolUnavailable,
    )
}
