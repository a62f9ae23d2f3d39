"""What schemathesis does with a request before it is sent."""

import os
import re
import uuid
from typing import Any

import schemathesis

KEY = "Idempotency-Key"
GOOD = re.compile(r"[!-~]([ -~]{0,253}[!-~])?")
OWN_KEY = "THREADHUB_CONTRACT_KEY"  # environment: the id of the API key that all requests come with
NO_KEY = "key_00000000000000000000000000"
# An integer beyond it is refused anywhere in a body, which a schema of free-form metadata cannot say.
LARGEST = 2**63 - 1


@schemathesis.hook
def before_call(context: Any, case: Any, kwargs: dict[str, Any]) -> None:
    """A good idempotency key becomes one that was never used: the same one with another body is refused, as it should
    be. The API key that all come with stays out of reach: without it all answers are 401, and nothing is tried."""
    if case.path_parameters and case.path_parameters.get("key_id") == os.environ[OWN_KEY] and case.method != "GET":
        case.path_parameters["key_id"] = NO_KEY
    body = _within_64_bits(case.body)
    if body != case.body:  # a case that is touched is taken for another
        case.body = body
    if case.headers and isinstance(key := case.headers.get(KEY), str) and GOOD.fullmatch(key):
        case.headers[KEY] = uuid.uuid4().hex


def _within_64_bits(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _within_64_bits(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_within_64_bits(each) for each in value]
    if isinstance(value, int) and not isinstance(value, bool):
        return max(-LARGEST, min(LARGEST, value))
    return value
