"""Imports point downwards only; the rooms below the API know no HTTP framework."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

# Longest prefix decides. A module may import from its own layer's room and from lower layers.
LAYERS = {
    "threadhub.lib": -2,
    "threadhub.isolation": -1,
    "threadhub.embedded": 0,
    "threadhub.audit": 1,
    "threadhub.limits": 1.5,
    "threadhub.workspaces": 2,
    "threadhub.agents": 3,
    "chat_sessions": 4,
    "threads": 5,
    "threadhub.api": 6,
    "threadhub.console": 6,
    "threadhub.chat": 6,
    "threadhub": 7,
}
# The staff console stands on each app's own admin module, as Django wants it; a large one is a folder.
ADMIN = "admin"
HTTP = ("rest_framework", "django_filters", "django.http", "drf_spectacular", "threadhub.api")


def room_of(module: str) -> str | None:
    matching = [room for room in LAYERS if module == room or module.startswith(room + ".")]
    return max(matching, key=len) if matching else None


def sources() -> list[Path]:
    return [
        path
        for folder in ("threadhub", "threads", "chat_sessions")
        for path in sorted((ROOT / folder).rglob("*.py"))
        if "migrations" not in path.parts and ADMIN not in path.with_suffix("").parts
    ]


def module_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports_of(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.update(f"{node.module}.{alias.name}" for alias in node.names)
    return found


def faults(path: Path) -> list[str]:
    own = room_of(module_of(path))
    assert own is not None
    problems = []
    for imported in imports_of(path):
        room = room_of(imported)
        if room is not None and room != own and LAYERS[room] >= LAYERS[own]:
            problems.append(f"{module_of(path)} (layer {LAYERS[own]}) imports {imported} (layer {LAYERS[room]})")
        if LAYERS[own] <= 5 and imported.startswith(HTTP):
            problems.append(f"{module_of(path)} knows HTTP: {imported}")
    return problems


@pytest.mark.parametrize("path", sources(), ids=module_of)
def test_imports_point_downwards(path: Path) -> None:
    assert faults(path) == []


def test_the_dialects_do_not_know_each_other() -> None:
    for mine, other in (("ai", "rest"), ("rest", "ai")):
        for path in (ROOT / "threadhub" / "api" / mine).rglob("*.py"):
            assert not [name for name in imports_of(path) if name.startswith(f"threadhub.api.{other}")], path


def test_it_sees_an_import_that_points_upwards(tmp_path: Path) -> None:
    bad = ROOT / "threadhub" / "lib" / "ids.py"
    assert "threads.access.get" not in imports_of(bad)
    copy = tmp_path / "bad.py"
    copy.write_text("from threads.access import get\nimport rest_framework\n")
    assert imports_of(copy) == {"threads.access.get", "rest_framework"}
    assert LAYERS[str(room_of("threads.access.get"))] > LAYERS["threadhub.lib"]
