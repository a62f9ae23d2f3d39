"""The arguments of a tool call against the tool's JSON Schema (Draft 2020-12), where either may be hostile.

A schema comes from whoever saved the tool, or from an MCP server; arguments come from a model. So a schema has a
size, refers only to itself, and its patterns are those that can be matched in linear time; checking has a limit of
steps and seconds (`bounded_validator`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from threadhub.lib import json

if TYPE_CHECKING:
    from threadhub.agents.tools.bounded_validator import BoundedValidator

MAX_SCHEMA_BYTES = 64 * 1024
MAX_SCHEMA_PARTS = 1000  # objects and arrays; real tools have some dozens
MAX_SCHEMA_DEPTH = 32
MAX_ARGUMENTS_BYTES = 256 * 1024
DIALECT_PREFIXES = ("https://json-schema.org/draft/", "http://json-schema.org/draft-", "http://json-schema.org/schema")
REFERENCES = ("$ref", "$dynamicRef")


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong, and where: `path` as in `stops.0.city`, empty for the whole."""

    path: str
    message: str

    def __str__(self) -> str:
        return f"{self.path}: {self.message}" if self.path else self.message


def check(schema: Mapping[str, Any], arguments: Any) -> list[Fault]:
    """What is wrong with the arguments, the first ten; none means that they fit.

    A schema that cannot be used is a fault too: then nothing fits.
    """
    text = _dumped(schema)
    if text is None:
        return [Fault("", "The tool's schema cannot be used.")]
    validator = _compiled(text)
    if isinstance(validator, list):
        return [Fault("", f"The tool's schema cannot be used: {validator[0]}")]
    if not isinstance(arguments, dict):
        return [Fault("", "The arguments must be an object.")]
    size = _dumped(arguments)
    if size is None:
        return [Fault("", "The arguments are not JSON.")]
    if len(size) > MAX_ARGUMENTS_BYTES:
        return [Fault("", "The arguments are too large.")]
    return [Fault(path, message) for path, message in validator.faults(json.loads(size))]


def check_schema(schema: Any) -> list[Fault]:
    """What keeps a schema from being a tool's; none means that it may be saved."""
    if not isinstance(schema, dict) or schema.get("type") != "object":
        return [Fault("type", "The schema of a tool's arguments has the type object.")]
    text = _dumped(schema)
    if text is None:
        return [Fault("", "The schema is not JSON, or holds text that cannot be stored.")]
    compiled = _compiled(text)
    return compiled if isinstance(compiled, list) else []


@lru_cache(maxsize=256)
def _compiled(text: bytes) -> BoundedValidator | list[Fault]:
    """The validator of a schema, or what is wrong with it. Keyed by the text: a changed schema is another one."""
    if len(text) > MAX_SCHEMA_BYTES:
        return [Fault("", f"The schema is larger than {MAX_SCHEMA_BYTES} bytes.")]
    schema = json.loads(text)
    if schema.pop("type", None) != "object":
        return [Fault("type", "The schema of a tool's arguments has the type object.")]
    schema["type"] = "object"
    dialect = schema.pop("$schema", None)
    if dialect is not None and not str(dialect).startswith(DIALECT_PREFIXES):
        return [Fault("$schema", "Only the dialects of json-schema.org are read.")]
    if faults := list(_refused(schema)):
        return faults[:10]
    from threadhub.agents.tools.bounded_validator import BoundedValidator

    validator = BoundedValidator(schema)
    return [Fault(path, message) for path, message in validator.schema_faults()] or validator


def _refused(schema: dict[str, Any]) -> Iterator[Fault]:
    """What no part of a schema may hold. Data (`default`, `enum`) is not told from schemas: a reference reaches it."""
    parts = 0
    waiting: list[tuple[str, Any, int]] = [("", schema, 1)]
    while waiting:
        path, value, depth = waiting.pop()
        parts += 1
        if parts > MAX_SCHEMA_PARTS or depth > MAX_SCHEMA_DEPTH:
            yield Fault("", f"The schema has more than {MAX_SCHEMA_PARTS} parts or {MAX_SCHEMA_DEPTH} levels.")
            return
        if isinstance(value, dict):
            yield from _refused_keys(path, value)
        items = value.items() if isinstance(value, dict) else enumerate(value)
        waiting += [
            (f"{path}.{key}".lstrip("."), item, depth + 1) for key, item in items if isinstance(item, dict | list)
        ]


def _refused_keys(path: str, part: dict[str, Any]) -> Iterator[Fault]:
    if isinstance(part.get("$schema"), str):  # another dialect would be checked by another, unbounded validator
        yield Fault(path, "Only the schema as a whole names its dialect.")
    for keyword in REFERENCES:
        if isinstance(target := part.get(keyword), str) and not target.startswith("#"):
            yield Fault(path, f"{keyword} must refer to a part of the same schema.")
    if isinstance(part.get("patternProperties"), dict) and "unevaluatedProperties" in part:
        yield Fault(path, "patternProperties and unevaluatedProperties cannot be used together.")


def _dumped(value: Any) -> bytes | None:
    """The value's one JSON text, or None where it has none that can be kept."""
    try:
        text = json.dumps_sorted(value)
        json.loads(text)
    except (TypeError, RecursionError, json.MalformedJSON, json.RefusedJSON):
        return None
    return text
