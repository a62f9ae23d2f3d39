"""What `/openapi.json` says of this dialect is what it does."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.urls import get_resolver
from drf_spectacular.drainage import GENERATOR_STATS
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.validation import validate_schema

from threadhub.api.rest.views.base import RestViewSet


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    with GENERATOR_STATS.silence():
        schema: dict[str, Any] = SchemaGenerator().get_schema(request=None, public=True)
    return schema


def operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in document["paths"].items():
        if not path.startswith("/api/"):
            for method, operation in methods.items():
                yield method, path, operation


def view_of(path: str, method: str) -> RestViewSet:
    """The view behind a path, as it stands when it is asked by that method."""
    match = get_resolver().resolve(path.replace("{", "").replace("}", ""))
    view: RestViewSet = match.func.cls()  # type: ignore[attr-defined]
    view.action = match.func.actions[method]  # type: ignore[attr-defined]
    return view


def test_it_is_valid_openapi(document: dict[str, Any]) -> None:
    validate_schema(document)


def test_every_operation_has_a_name_of_its_own(document: dict[str, Any]) -> None:
    names = [operation["operationId"] for _, _, operation in operations(document)]
    assert len(names) > 40
    assert len(set(names)) == len(names)


def test_it_lists_exactly_the_query_parameters_that_are_taken(document: dict[str, Any]) -> None:
    for method, path, operation in operations(document):
        listed = {each["name"] for each in operation.get("parameters", []) if each["in"] == "query"}
        assert listed == set(view_of(path, method)._known_query()), (method, path)


def test_every_operation_declares_a_permission_and_its_problems(document: dict[str, Any]) -> None:
    for method, path, operation in operations(document):
        assert method.upper() in view_of(path, method).permissions, (method, path)
        assert operation["responses"]["default"]["content"].keys() == {"application/problem+json"}
        assert ("security" in operation) == (not path.endswith("/refresh"))


@pytest.mark.parametrize(
    ("method", "path", "statuses"),
    [
        ("post", "/agents/{agent_id}/threads", {"200"}),
        ("put", "/agents/{agent_id}/threads/by-ref/{external_ref}", {"200", "201"}),
        ("delete", "/chat_sessions/{chat_session_id}/threads/{thread_id}", {"200"}),
        ("delete", "/chat_sessions/{chat_session_id}", {"204"}),
        ("post", "/chat_sessions", {"200"}),
        ("post", "/agents", {"201"}),
        ("post", "/threads/{thread_id}/messages", {"201"}),
    ],
)
def test_it_tells_the_statuses(document: dict[str, Any], method: str, path: str, statuses: set[str]) -> None:
    assert document["paths"][path][method]["responses"].keys() == {*statuses, "default"}


def test_lists_are_envelopes_and_a_sessions_threads_a_bare_array(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]

    def shape(path: str) -> dict[str, Any]:
        content = document["paths"][path]["get"]["responses"]["200"]["content"]["application/json"]["schema"]
        named: dict[str, Any] = schemas[content["$ref"].rpartition("/")[2]] if "$ref" in content else content
        return named

    for path in ("/threads", "/agents", "/agents/{agent_id}/threads", "/threads/{thread_id}/runs"):
        assert shape(path)["properties"].keys() == {"count", "has_more", "next", "previous", "data"}, path
    assert shape("/threads/{thread_id}/messages")["properties"].keys() == {
        "count",
        "has_more",
        "next",
        "previous",
        "data",
    }
    assert shape("/search")["properties"].keys() == {"has_more", "next", "previous", "since", "data"}
    assert shape("/chat_sessions/{chat_session_id}/threads")["type"] == "array"
