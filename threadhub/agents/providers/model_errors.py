"""From what pydantic-ai and the vendors' libraries raise to our stable codes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from threadhub.agents.provider_errors import (
    ContextLengthExceeded,
    ProviderBadResponse,
    ProviderError,
    ProviderRateLimited,
    ProviderRefused,
    ProviderRequestInvalid,
    ProviderTimeout,
    ProviderUnauthorized,
    ProviderUnavailable,
)

if TYPE_CHECKING:
    from pydantic_ai.exceptions import ModelAPIError

MAX_RETRY_AFTER = 3600.0
OVERLONG_TYPES = frozenset({"context_length_exceeded", "exceed_context_size_error"})
REFUSAL_CODES = frozenset({"content_filter", "content_policy_violation", "ResponsibleAIPolicyViolation"})

# What the libraries, which do not check the shape of what they read, raise on an answer of another shape.
SHAPE_ERRORS = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    RecursionError,
    TypeError,
    ValueError,
)


@contextmanager
def provider_errors() -> Iterator[None]:
    """Raise what happens inside as a ProviderError; the cause stays attached for the log."""
    from httpx2 import HTTPError, InvalidURL, StreamError
    from httpx2 import TimeoutException as HTTPTimeout
    from pydantic_ai import exceptions

    try:
        yield
    except ProviderError:
        raise
    except exceptions.ContentFilterError as error:
        raise ProviderRefused() from error
    except exceptions.ModelAPIError as error:
        raise from_api_error(error) from error
    except (exceptions.UserError, NotImplementedError, InvalidURL) as error:
        raise ProviderRequestInvalid() from error
    except (exceptions.UnexpectedModelBehavior, *SHAPE_ERRORS) as error:
        raise ProviderBadResponse() from error
    except (TimeoutError, HTTPTimeout) as error:
        raise ProviderTimeout() from error
    except (OSError, HTTPError, StreamError) as error:
        raise ProviderUnavailable() from error


def from_api_error(error: ModelAPIError) -> ProviderError:
    """Choose by the category that pydantic-ai found, and where it found none, by code and status."""
    from pydantic_ai import exceptions as e

    named = {error.provider_error_code, error.provider_error_type}
    if isinstance(error, e.ModelContextWindowExceededError) or named & OVERLONG_TYPES:
        return ContextLengthExceeded()
    if named & REFUSAL_CODES:
        return ProviderRefused()
    match error:
        case e.ModelAuthenticationError():
            return ProviderUnauthorized()
        case e.ModelQuotaExceededError():
            return ProviderRateLimited("The quota at the model service is used up.", retryable=False)
        case e.ModelRateLimitError():
            return ProviderRateLimited(retry_after=_seconds(error.retry_after))
        case e.ModelTimeoutError() | e.ModelRequestTimeout():
            return ProviderTimeout()
        case e.ModelConnectionError() | e.ModelUnavailableError() | e.ModelServerError():
            return ProviderUnavailable(retry_after=_seconds(error.retry_after))
        case e.ModelNotFoundError():
            return ProviderRequestInvalid("The model service does not know this model or address.")
        case e.ModelRequestRejectedError():
            return ProviderRequestInvalid()
        case e.ModelHTTPError():
            return _by_status(error)
        case _:
            # Said inside a stream, without a code anyone knows: the service's trouble. Else: not readable.
            return ProviderUnavailable() if error.in_stream else ProviderBadResponse()


def _by_status(error: ModelAPIError) -> ProviderError:
    status = getattr(error, "status_code", 0)
    if status == 408:
        return ProviderTimeout()
    if status in (409, 425):
        return ProviderUnavailable(retry_after=_seconds(error.retry_after))
    if 400 <= status < 500:
        return ProviderRequestInvalid()
    return ProviderUnavailable()


def _seconds(retry_after: float | None) -> float | None:
    """What the service asked to wait, as far as one may be made to wait."""
    if retry_after is None or not 0 <= retry_after < float("inf"):
        return None
    return min(retry_after, MAX_RETRY_AFTER)
