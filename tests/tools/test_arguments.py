"""Arguments against schemas, where either may be hostile."""

import copy
import json
import socket
import time
from typing import Any

import pytest

from threadhub.agents.builtin_tools import BUILTIN_TOOLS
from threadhub.agents.tools import arguments, patterns
from threadhub.agents.tools.arguments import Fault, check, check_schema

TRIP: dict[str, Any] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "properties": {
        "city": {"type": "string", "minLength": 1, "pattern": "^[A-Z]"},
        "days": {"type": "integer", "minimum": 1},
        "stops": {"type": "array", "items": {"$ref": "#/$defs/stop"}, "uniqueItems": True},
        "unit": {"enum": ["C", "F"]},
    },
    "required": ["city"],
    "additionalProperties": False,
    "$defs": {"stop": {"type": "object", "properties": {"at": {"type": "string"}}, "required": ["at"]}},
}


def of(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties}


@pytest.mark.parametrize(
    "given",
    [
        {"city": "Vigo"},
        {"city": "Vigo", "days": 3, "stops": [{"at": "x"}, {"at": "y", "more": 1}], "unit": "C"},
        {"city": "Vigo", "days": 3.0},
    ],
)
def test_what_fits_has_no_faults(given: dict[str, Any]) -> None:
    assert check(TRIP, given) == []


@pytest.mark.parametrize(
    ("given", "path", "says"),
    [
        ({}, "", "'city' is a required property"),
        ({"city": "V", "stops": 1}, "stops", "is not of type 'array'"),
        ({"city": "vigo"}, "city", "does not match"),
        ({"city": 1}, "city", "is not of type 'string'"),
        ({"city": "Vigo", "days": 0}, "days", "less than the minimum"),
        ({"city": "Vigo", "days": True}, "days", "is not of type 'integer'"),
        ({"city": "Vigo", "days": "3"}, "days", "is not of type 'integer'"),
        ({"city": "Vigo", "unit": "K"}, "unit", "is not one of"),
        ({"city": "Vigo", "stops": [{"at": "x"}, {}]}, "stops.1", "'at' is a required property"),
        ({"city": "Vigo", "stops": [{"at": "x"}, {"at": "x"}]}, "stops", "non-unique"),
        ({"city": "Vigo", "evil": 1}, "evil", "not one of the tool's arguments"),
    ],
)
def test_a_fault_says_where_and_what(given: dict[str, Any], path: str, says: str) -> None:
    (fault,) = check(TRIP, given)
    assert fault.path == path
    assert says in fault.message
    assert str(fault) == (f"{path}: {fault.message}" if path else fault.message)


@pytest.mark.parametrize("given", [None, [], "x", 1, {"a": 2**80}, {"a": "\x00"}, {"\ud800": 1}])
def test_what_is_no_json_object_never_fits(given: Any) -> None:
    assert len(check({"type": "object"}, given)) == 1


def test_what_json_cannot_say_is_null() -> None:
    assert len(check(of(a={"type": "number"}), {"a": float("nan")})) == 1


def test_the_builtin_tools_have_good_schemas() -> None:
    assert [check_schema(tool.parameters) for tool in BUILTIN_TOOLS.values()] == [[]] * len(BUILTIN_TOOLS)


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "object"},
        TRIP,
        {**TRIP, "$schema": "http://json-schema.org/draft-07/schema#"},
        {"type": "object", "$id": "https://tools.example/trip.json", "properties": {"$ref": {"type": "string"}}},
        of(x={"patternProperties": {"^a": {"type": "integer"}}, "additionalProperties": False}),
        of(x={"type": "string", "format": "date"}, **{"$schema": {"type": "string"}}),
        of(node={"$ref": "#/$defs/node"}) | {"$defs": {"node": {"properties": {"child": {"$ref": "#/$defs/node"}}}}},
    ],
)
def test_good_schemas_may_be_saved(schema: dict[str, Any]) -> None:
    before = copy.deepcopy(schema)
    assert check_schema(schema) == []
    assert schema == before


def nested(depth: int) -> dict[str, Any]:
    inner: dict[str, Any] = {"type": "object"}
    for _ in range(depth):
        inner = of(x=inner)
    return inner


REFUSED: list[Any] = [
    None,
    True,
    [],
    "object",
    {},
    {"type": "array"},
    {"type": ["object"]},
    {"type": "object", "properties": []},
    {"type": "object", "required": "city"},
    of(x={"type": "strin"}),
    of(x={"minimum": "1"}),
    of(x={"multipleOf": 0}),
    of(x={"pattern": "("}),
    of(x={"pattern": r"(a)\1"}),
    of(x={"pattern": r"^(?=.*x)"}),
    of(x={"pattern": "a" * 513}),
    of(x={"pattern": r"(\w{1,100}){1,100}"}),
    of(x={"patternProperties": {"(": {}}}),
    of(x={"patternProperties": {"a": {}}, "unevaluatedProperties": False}),
    of(x={"$ref": "https://evil.example/schema.json"}),
    of(x={"$ref": "http://169.254.169.254/latest/meta-data/"}),
    of(x={"$ref": "file:///etc/passwd"}),
    of(x={"$ref": "other.json#/a"}),
    of(x={"$dynamicRef": "https://evil.example/#a"}),
    of(x={"enum": [{"$ref": "https://evil.example/"}]}),
    of(x={"$schema": "http://json-schema.org/draft-07/schema#", "pattern": "(a+)+$"}),
    {"type": "object", "$schema": "https://evil.example/dialect"},
    {"type": "object", "$schema": 1},
    {"type": "object", "description": "x" * 70_000},
    {"type": "object", "description": "\x00"},
    {"type": "object", "\ud800": 1},
    {"type": "object", "default": 2**80},
    nested(20),
    nested(300),
    of(**{f"p{number}": {"type": "string"} for number in range(1500)}),
]


@pytest.mark.parametrize("schema", REFUSED, ids=range(len(REFUSED)))
def test_bad_schemas_may_not_be_saved_nor_used(schema: Any) -> None:
    faults = check_schema(schema)
    assert faults
    assert all(isinstance(fault, Fault) and len(str(fault)) < 700 for fault in faults)
    if isinstance(schema, dict):
        assert check(schema, {"x": "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!"})


def seconds(schema: dict[str, Any], given: dict[str, Any]) -> tuple[float, list[Fault]]:
    started = time.thread_time()  # of this thread alone: what else the machine does is nothing to it
    faults = check(schema, given)
    return time.thread_time() - started, faults


@pytest.mark.parametrize(
    "pattern", ["^(a+)+$", "(a|aa)+$", "^(a|a?)+$", "(.*a){20}$", r"^(\s*a\s*)*$", "([a-z]+)*1", "a*a*a*a*a*a*b"]
)
def test_patterns_take_linear_time(pattern: str) -> None:
    text = "a" * 50_000 + "!"
    for schema in (of(x={"pattern": pattern}), of(x={"propertyNames": {"pattern": pattern}})):
        took, _ = seconds(schema, {"x": text if "pattern" in schema["properties"]["x"] else {text: 1}})
        assert took < 1.5
    for names in (
        {"patternProperties": {pattern: False}},
        {"patternProperties": {pattern: {}}, "additionalProperties": False},
    ):
        took, _ = seconds(of(x=names), {"x": {text: 1}})
        assert took < 1.5


@pytest.mark.parametrize(
    "pattern",
    [
        r"(?:[^x]{0,100}){0,100}\d",
        r"(?:.{0,100}a.{0,100}b){1,30}\d",
        r"(?:[^x]{0,200}[^y]{0,200}[ab]){1,18}\d",
        r"(?:\w{0,20}[aé]\w{0,20}){1,6}\d$",
    ],
)
def test_patterns_that_are_large_when_written_out_are_bounded(pattern: str) -> None:
    schema = of(x={"pattern": pattern})
    for length in (300, 2000, 80_000):
        took, faults = seconds(schema, {"x": "abé" * (length // 3)})
        assert took < 2
        assert faults


def test_patterns_of_every_day_match_long_texts() -> None:
    uuid = "^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$"
    assert check(of(x={"pattern": uuid}), {"x": "0196a0b4-0f5e-7c3a-9d44-3f2f7f0c1d2e"}) == []
    assert (
        check(of(x={"pattern": r"^(?i:https?)://[^\s/$.?#].[^\s]*$"}), {"x": "HTTPS://a.example/" + "x" * 1000}) == []
    )
    assert check(of(x={"pattern": r"\S"}), {"x": " " * 200_000 + "x"}) == []
    assert check(of(x={"pattern": r"^[^\x00-\x1f]*$"}), {"x": "é" * 100_000}) == []


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("", 1),
        ("abc", 4),
        ("[a-z]{3}", 4),
        (r"\d{3,}", 4),
        ("a{2,5}", 6),
        ("(ab){10}", 31),
        ("((a{10}){10}){10}", 1111),
        (r"\{10}", 5),
        ("a{,5}", 6),
        ("a{ 2 , 5 }", 6),
        ("[{10}]", 2),
    ],
)
def test_a_patterns_size_counts_its_repetitions(pattern: str, expected: int) -> None:
    assert patterns.size(pattern) == expected


@pytest.mark.parametrize(
    "pattern", ["(?x)#[\n(?:.{0,100}){0,100}#]", "(?ix:a)", "(?i-x:a)", "(a{1000}){1000}", "a{999999999}"]
)
def test_what_cannot_be_estimated_or_is_too_large_is_not_usable(pattern: str) -> None:
    assert not patterns.is_usable(pattern)


def doubling(levels: int, **end: Any) -> dict[str, Any]:
    """References that double the work at each level."""
    definitions: dict[str, Any] = {
        f"l{level}": {"allOf": [{"$ref": f"#/$defs/l{level + 1}"}, {"$ref": f"#/$defs/l{level + 1}"}]}
        for level in range(levels)
    }
    return {"type": "object", "allOf": [{"$ref": "#/$defs/l0"}], "$defs": {**definitions, f"l{levels}": end}}


def test_references_that_double_end() -> None:
    for end in ({}, {"type": "object"}, {"unevaluatedProperties": {}}, {"minProperties": 0}):
        took, faults = seconds(doubling(60, **end), {"x": 1})
        assert took < 2
        assert "too long" in faults[0].message


def test_references_in_a_circle_end() -> None:
    for schema in (
        {"type": "object", "$ref": "#"},
        {
            "type": "object",
            "allOf": [{"$ref": "#/$defs/a"}],
            "$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}},
        },
        {"type": "object", "unevaluatedProperties": False, "$ref": "#"},
        {"type": "object", "$dynamicRef": "#x", "$dynamicAnchor": "x"},
    ):
        took, faults = seconds(schema, {"x": 1})
        assert took < 2
        assert faults[0].message in (
            "The schema refers to itself without end.",
            "It takes too long to check against the schema.",
        )


def test_a_reference_to_nothing_is_a_fault() -> None:
    assert check(of(x={"$ref": "#/$defs/none"}), {"x": 1}) == [
        Fault("", "The schema refers to a part that it does not have.")
    ]


def test_large_arguments_end() -> None:
    many = [{"a": [index]} for index in range(15_000)]
    for subschema in (
        {"uniqueItems": True},
        {"items": {"type": "string"}},
        {"contains": {"const": 1}},
        {"unevaluatedItems": False},
    ):
        took, _ = seconds(of(x=subschema), {"x": many})
        assert took < 2
    assert check(of(), {"x": "a" * 300_000}) == [Fault("", "The arguments are too large.")]


def test_unique_is_by_value_as_json_has_it() -> None:
    schema = of(x={"uniqueItems": True})
    for unique in ([1, True], [0, False], ["1", 1], [[1], [True]], [{"a": 1}, {"a": 2}], [None, 0, ""]):
        assert check(schema, {"x": unique}) == []
    for double in ([1, 1.0], [{"a": 1, "b": [2]}, {"b": [2.0], "a": 1}], [[], []], [None, None]):
        assert len(check(schema, {"x": double})) == 1


def test_names_by_pattern_and_others() -> None:
    schema = of(
        x={
            "properties": {"id": {}},
            "patternProperties": {"^n_": {"type": "integer"}},
            "additionalProperties": {"type": "string"},
        }
    )
    assert check(schema, {"x": {"id": None, "n_a": 1, "other": "text"}}) == []
    assert [fault.path for fault in check(schema, {"x": {"n_a": "1", "other": 1}})] == ["x.other", "x.n_a"]


def test_nothing_is_fetched() -> None:
    """References to a server that listens: it never hears of them."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        base = f"http://127.0.0.1:{server.getsockname()[1]}/"
        for schema in (
            of(x={"$ref": base}),
            of(x={"$dynamicRef": f"{base}#a"}),
            {**of(x={"$ref": "#/$defs/none"}), "$id": base},
            of(x={"$id": base, "$ref": "#none"}),
            {"type": "object", "$schema": base},
            of(x={"$ref": "#/properties/y/enum/0"}, y={"enum": [{"$ref": base}]}),
        ):
            assert check(schema, {"x": 1})
        server.settimeout(0.2)
        with pytest.raises(TimeoutError):
            server.accept()


def test_faults_are_few_and_short() -> None:
    given = {f"x{number}": "v" * 400 for number in range(500)}
    faults = check({"type": "object", "additionalProperties": {"type": "integer"}}, given)
    assert len(faults) == 10
    assert all(len(fault.message) <= 300 for fault in faults)
    assert len(json.dumps([str(fault) for fault in faults])) < 10_000


def test_a_changed_schema_is_another_one() -> None:
    schema = of(x={"type": "string"})
    assert check(schema, {"x": "a"}) == []
    schema["properties"]["x"]["type"] = "integer"
    assert len(check(schema, {"x": "a"})) == 1
    assert arguments._compiled.cache_info().maxsize == 256
