"""What the worker's own work is told to have failed of, in reports and on pages. What nobody foresaw keeps neither
other workspaces nor other jobs waiting; the log has it whole."""

from threadhub.lib.errors import DomainError


def sentence(error: Exception) -> str:
    """What was foreseen says it itself."""
    if isinstance(error, DomainError):
        return error.message
    if isinstance(error, OSError):
        return f"The archive cannot be used: {error.strerror or type(error).__name__}."
    return f"Something went wrong that nobody foresaw ({type(error).__name__}); the worker's log says what."
