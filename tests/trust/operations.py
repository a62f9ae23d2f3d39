"""The operations of the served OpenAPI document: what there is to try, read from where clients read it."""

import functools
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from drf_spectacular.drainage import GENERATOR_STATS
from drf_spectacular.generators import SchemaGenerator

METHODS = ("get", "put", "post", "delete", "patch")


@dataclass(frozen=True)
class Operation:
    """One method of one path. `body` is the schema of its body, references resolved; None where it takes none."""

    name: str
    method: str
    path: str
    query: tuple[str, ...]
    headers: tuple[str, ...]
    body: dict[str, Any] | None

    @property
    def in_path(self) -> list[str]:
        return re.findall(r"{(\w+)}", self.path)

    @property
    def ai(self) -> bool:
        return self.path.startswith("/api/")

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


@functools.cache
def document() -> dict[str, Any]:
    """The document as `/openapi.json` serves it."""
    with GENERATOR_STATS.silence():
        served: dict[str, Any] = SchemaGenerator().get_schema(request=None, public=True)
    return served


@functools.cache
def operations() -> tuple[Operation, ...]:
    """All of them, those that read before those that write."""
    found = [_operation(path, method, each) for path, method, each in _described()]
    return tuple(sorted(found, key=lambda operation: (operation.method != "GET", operation.path)))


def resolve(schema: dict[str, Any]) -> dict[str, Any]:
    """A schema without references at its top."""
    if "$ref" in schema:
        named: dict[str, Any] = document()["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
        return resolve(named)
    if len(schema.get("allOf", ())) == 1:
        return {**resolve(schema["allOf"][0]), **{key: value for key, value in schema.items() if key != "allOf"}}
    return schema


def _described() -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in document()["paths"].items():
        for method in METHODS:
            if method in methods:
                yield path, method, methods[method]


def _operation(path: str, method: str, described: dict[str, Any]) -> Operation:
    parameters = described.get("parameters", [])
    content = described.get("requestBody", {}).get("content", {})
    return Operation(
        name=described["operationId"],
        method=method.upper(),
        path=path,
        query=tuple(each["name"] for each in parameters if each["in"] == "query"),
        headers=tuple(each["name"] for each in parameters if each["in"] == "header"),
        body=resolve(next(iter(content.values()))["schema"]) if content else None,
    )


def let_go(response: Any) -> Any:
    """The response; a file that it would have sent is closed, since nobody reads it."""
    file = getattr(response, "_file", None)
    if file is not None:
        file.close()
    return response
