"""jsonschema's Draft 2020-12 with three things replaced, so that no schema can hold a process up.

* Patterns are matched by another engine than `re`, within limits (`patterns`).
* `uniqueItems` compares by hash, not each with each.
* Every keyword counts as a step, and steps and seconds are limited: references can double the work at every level.

References lead nowhere outside: the registry holds no schemas but the dialect's own and retrieves none.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from dataclasses import dataclass
from itertools import islice
from typing import Any

from jsonschema import Draft202012Validator  # type: ignore[import-untyped]
from jsonschema.exceptions import ValidationError  # type: ignore[import-untyped]
from jsonschema.validators import extend  # type: ignore[import-untyped]
from referencing import Registry
from referencing.exceptions import Unresolvable

from threadhub.agents.tools.patterns import MAX_SIZE, TooMuchWork, is_usable, matches, size

MAX_STEPS = 20_000
MAX_SECONDS = 0.5
MAX_FAULTS = 10
MAX_MESSAGE_CHARACTERS = 300
TOO_MUCH_WORK = "It takes too long to check against the schema."

Keyword = Callable[[Any, Any, Any, Any], Iterator[ValidationError] | None]


@dataclass(slots=True)
class Budget:
    """What is left of one check."""

    steps: int
    until: float

    def spend(self) -> None:
        self.steps -= 1
        if self.steps < 0 or time.monotonic() > self.until:
            raise TooMuchWork


_budget: ContextVar[Budget] = ContextVar("budget of the running check")


class BoundedValidator:
    """One schema, ready to check arguments."""

    def __init__(self, schema: dict[str, Any]) -> None:
        self._schema = schema
        self._validator = _Validator(schema, registry=Registry())

    def faults(self, arguments: Any) -> list[tuple[str, str]]:
        """Where and what is wrong, the first MAX_FAULTS."""
        token = _budget.set(Budget(MAX_STEPS, time.monotonic() + MAX_SECONDS))
        try:
            found = islice(self._validator.iter_errors(arguments), MAX_FAULTS)
            return [(_path(error), _short(error.message)) for error in found]
        except TooMuchWork:
            return [("", TOO_MUCH_WORK)]
        except RecursionError:
            return [("", "The schema refers to itself without end.")]
        except Unresolvable:
            return [("", "The schema refers to a part that it does not have.")]
        finally:
            _budget.reset(token)

    def schema_faults(self) -> list[tuple[str, str]]:
        """Where and what is wrong with the schema itself: against the dialect's own schema, and its patterns."""
        meta = Draft202012Validator(Draft202012Validator.META_SCHEMA)
        found = [(_path(error), _short(error.message)) for error in islice(meta.iter_errors(self._schema), MAX_FAULTS)]
        return found or list(islice(_pattern_faults(self._schema), MAX_FAULTS))


def _pattern_faults(schema: Any) -> Iterator[tuple[str, str]]:
    total = 0
    for path, pattern in _patterns("", schema):
        total += size(pattern)
        if total > MAX_SIZE:
            yield path, "The patterns are too large, counted repetitions written out."
            return
        if not is_usable(pattern):
            yield path, _short(f"The pattern {pattern!r} is not valid, or looks around or back.")


def _patterns(path: str, part: Any) -> Iterator[tuple[str, str]]:
    if isinstance(part, dict):
        if isinstance(pattern := part.get("pattern"), str):
            yield path, pattern
        if isinstance(named := part.get("patternProperties"), dict):
            yield from ((path, pattern) for pattern in named)
    for key, item in part.items() if isinstance(part, dict) else enumerate(part):
        if isinstance(item, dict | list):
            yield from _patterns(f"{path}.{key}".lstrip("."), item)


def _pattern(validator: Any, pattern: str, instance: Any, _schema: Any) -> Iterator[ValidationError]:
    if isinstance(instance, str) and not matches(pattern, instance):
        yield ValidationError(f"{instance!r} does not match {pattern!r}")


def _pattern_properties(validator: Any, patterns: Any, instance: Any, _schema: Any) -> Iterator[ValidationError]:
    if not isinstance(instance, dict):
        return
    for pattern, subschema in patterns.items():
        for name, value in instance.items():
            _budget.get().spend()
            if matches(pattern, name):
                yield from validator.descend(value, subschema, path=name, schema_path=pattern)


def _additional_properties(validator: Any, allowed: Any, instance: Any, schema: Any) -> Iterator[ValidationError]:
    if not isinstance(instance, dict):
        return
    patterns = schema.get("patternProperties", {})
    for name in instance:
        _budget.get().spend()
        if name in schema.get("properties", {}) or any(matches(pattern, name) for pattern in patterns):
            continue
        if allowed is False:
            yield ValidationError(f"{name!r} is not one of the tool's arguments", path=[name])
        else:
            yield from validator.descend(instance[name], allowed, path=name)


def _unique_items(validator: Any, wanted: bool, instance: Any, _schema: Any) -> Iterator[ValidationError]:
    if wanted and isinstance(instance, list) and len({_hashable(item) for item in instance}) != len(instance):
        yield ValidationError("has non-unique items")


def _hashable(value: Any) -> Any:
    """Equal for equal JSON values: 1 and 1.0 are, 1 and true are not."""
    if isinstance(value, dict):
        return "object", frozenset((key, _hashable(item)) for key, item in value.items())
    if isinstance(value, list):
        return "array", tuple(_hashable(item) for item in value)
    return ("boolean", value) if isinstance(value, bool) else value


def _counted(keyword: Keyword) -> Keyword:
    def check(validator: Any, value: Any, instance: Any, schema: Any) -> Iterator[ValidationError]:
        _budget.get().spend()
        yield from keyword(validator, value, instance, schema) or ()

    return check


def _path(error: ValidationError) -> str:
    return _short(".".join(str(step) for step in error.absolute_path))


def _short(text: str) -> str:
    return text if len(text) <= MAX_MESSAGE_CHARACTERS else text[: MAX_MESSAGE_CHARACTERS - 1] + "…"


_REPLACED: dict[str, Keyword] = {
    "pattern": _pattern,
    "patternProperties": _pattern_properties,
    "additionalProperties": _additional_properties,
    "uniqueItems": _unique_items,
}
_Validator = extend(
    Draft202012Validator,
    {name: _counted(_REPLACED.get(name, keyword)) for name, keyword in Draft202012Validator.VALIDATORS.items()},
)
