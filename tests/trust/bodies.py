"""Bodies that an operation takes, made from its schema in the OpenAPI document."""

from typing import Any

from tests.trust.operations import Operation, resolve

# Where a schema cannot say what is meant: by the name of the property.
VALUES: dict[str, Any] = {
    "prompt": "And now?",
    "content": "Words.",
    "role": "user",
    "name": "sample",
    "title": "A title",
    "email": "someone@example.org",
    "messages": [{"role": "user", "content": "Words."}],
    "schema": {"type": "object"},
    "url": "https://tools.example.org/",
    "metadata": {"a": 1},
    "expiresAt": "2099-01-01T00:00:00Z",
    "expires_at": "2099-01-01T00:00:00Z",
    "outputs": [{"tool_call_id": "call", "output": "x"}],
    "tool_outputs": [{"tool_call_id": "call", "output": "x"}],
    "rating": 1,
    "scopes": ["read"],
}
# Whole bodies, where the rules between their fields are not in the schema.
WHOLE: dict[str, dict[str, Any]] = {
    "threads_messages_create": {"role": "user", "content": "Words."},
    "agents_invoke_create": {"prompt": "And now?"},
}


def body_of(operation: Operation) -> dict[str, Any] | None:
    """The smallest body that the operation takes; None where it takes none."""
    if operation.body is None:
        return None
    whole = WHOLE.get(operation.name)
    if whole is not None:
        return dict(whole)
    return {name: value_of(name, schema) for name, schema in properties(operation).items() if name in needed(operation)}


def properties(operation: Operation) -> dict[str, dict[str, Any]]:
    """Name and schema of what the body may have, in any of its forms."""
    forms = _forms(operation)
    return {name: resolve(each) for form in reversed(forms) for name, each in form.get("properties", {}).items()}


def needed(operation: Operation) -> set[str]:
    """What the body must have, in the first of its forms."""
    return {name for form in _forms(operation)[:1] for name in form.get("required", ())}


def _forms(operation: Operation) -> list[dict[str, Any]]:
    body = operation.body or {}
    return [resolve(form) for form in body.get("oneOf", [body])]


def value_of(name: str, schema: dict[str, Any]) -> Any:
    """Something that the schema allows."""
    if name in VALUES:
        return VALUES[name]
    schema = resolve(schema)
    for choice in ("oneOf", "anyOf"):
        if choice in schema:
            return value_of("", schema[choice][0])
    if "enum" in schema:
        return schema["enum"][0]
    match schema.get("type"):
        case "integer" | "number":
            return schema.get("minimum", 1)
        case "boolean":
            return True
        case "array":
            return [value_of("", schema["items"]) for _ in range(schema.get("minItems", 0))]
        case "object":
            return {key: value_of(key, each) for key, each in schema.get("properties", {}).items()}
    return {"email": "someone@example.org", "date-time": "2099-01-01T00:00:00Z", "uri": "https://example.org/"}.get(
        schema.get("format", ""), "sample"
    )
