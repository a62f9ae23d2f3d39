"""What schemathesis does with a request before it is sent."""

import re
import uuid
from typing import Any

import schemathesis

KEY = "Idempotency-Key"
GOOD = re.compile(r"[!-~]([ -~]{0,253}[!-~])?")


@schemathesis.hook
def before_call(context: Any, case: Any, kwargs: dict[str, Any]) -> None:
    """A good key becomes one that was never used: the same one with another body is refused, as it should be."""
    if case.headers and isinstance(key := case.headers.get(KEY), str) and GOOD.fullmatch(key):
        case.headers[KEY] = uuid.uuid4().hex
