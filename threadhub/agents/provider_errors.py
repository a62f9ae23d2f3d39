"""What can go wrong at a provider, each with a stable code.

The message is safe to show to whoever asked: no key, no address, nothing the provider sent. `retryable` says
that the same call may succeed later; `retry_after` is how many seconds the provider asked to wait.
"""

from __future__ import annotations

from typing import ClassVar

from threadhub.agents.events import Usage


class ProviderError(Exception):
    """The model service failed."""

    code: ClassVar[str] = "provider_error"
    retryable: bool = False

    def __init__(
        self, message: str | None = None, *, retry_after: float | None = None, retryable: bool | None = None
    ) -> None:
        """`retryable` overrides what is usual for the code: a used-up quota is a rate limit that waiting
        won't lift.
        """
        self.message = message or (type(self).__doc__ or "").strip()
        self.retry_after = retry_after
        self.usage: Usage | None = None  # what the service counted, where it did before it failed
        if retryable is not None:
            self.retryable = retryable
        super().__init__(self.message)


class ProviderUnauthorized(ProviderError):
    """The model service refused its credentials."""

    code = "provider_unauthorized"


class ProviderRateLimited(ProviderError):
    """The model service is over its rate limit."""

    code = "provider_rate_limited"
    retryable = True


class ProviderUnavailable(ProviderError):
    """The model service could not be reached or failed."""

    code = "provider_unavailable"
    retryable = True


class ProviderTimeout(ProviderError):
    """The model service stayed silent too long."""

    code = "provider_timeout"
    retryable = True


class ProviderBadResponse(ProviderError):
    """The model service sent an answer that cannot be read."""

    code = "provider_bad_response"
    retryable = True


class ContextLengthExceeded(ProviderError):
    """The thread is longer than the model can read."""

    code = "context_length_exceeded"


class ProviderRefused(ProviderError):
    """The model service refused this content."""

    code = "provider_refused"


class ProviderRequestInvalid(ProviderError):
    """The model service did not accept the request."""

    code = "provider_request_invalid"


class ProviderMissing(ProviderError):
    """This provider is not installed or not configured here."""

    code = "provider_missing"


ERRORS: dict[str, type[ProviderError]] = {
    error.code: error
    for error in (
        ProviderUnauthorized,
        ProviderRateLimited,
        ProviderUnavailable,
        ProviderTimeout,
        ProviderBadResponse,
        ContextLengthExceeded,
        ProviderRefused,
        ProviderRequestInvalid,
        ProviderMissing,
    )
}
