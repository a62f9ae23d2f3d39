"""What can go wrong in the domain. Each kind has one class here; the errors themselves stand beside what raises
them, with a stable `code` and their default sentence as docstring. Which HTTP status a kind becomes is the
dialect's business."""

from typing import Any, ClassVar


class DomainError(Exception):
    """Something that was asked for cannot be done."""

    code: ClassVar[str] = "error"

    def __init__(self, message: str | None = None, **details: Any) -> None:
        self.message = message or (type(self).__doc__ or "").strip().splitlines()[0]
        self.details = details
        super().__init__(self.message)


class NotFound(DomainError):
    """Not found."""

    code = "not_found"


class Unauthenticated(DomainError):
    """Authentication is required."""

    code = "unauthenticated"


class Forbidden(DomainError):
    """You may not do this."""

    code = "forbidden"


class Conflict(DomainError):
    """The request conflicts with the present state."""

    code = "conflict"


class Held(DomainError):
    """This is on legal hold and cannot be removed."""

    code = "held"


class TooLarge(DomainError):
    """The request is larger than allowed."""

    code = "too_large"


class Exhausted(DomainError):
    """What may be used of this is used up. `retry_after`: seconds until there is more."""

    code = "exhausted"

    def __init__(self, message: str | None = None, *, retry_after: int) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class Failed(DomainError):
    """An outside service failed to do its part."""

    code = "failed"


class Invalid(DomainError):
    """The input is not valid. `errors` are rows of {loc, msg, type}, one per fault."""

    code = "invalid"

    def __init__(self, message: str | None = None, errors: list[dict[str, Any]] | None = None) -> None:
        super().__init__(message)
        self.errors = errors or []

    @classmethod
    def at(cls, *loc: str | int, msg: str, type: str = "value_error") -> "Invalid":
        """One fault at one place: `Invalid.at("body", "title", msg="…")`."""
        return cls(msg, [{"loc": list(loc), "msg": msg, "type": type}])
