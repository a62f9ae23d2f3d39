"""A tree of messages as positions and branches of ours.

Every leaf is a branch. The first has positions from 1; each further one shares what is above its fork and has new
positions below, so that a path's positions grow. The current leaf comes last: it is the active branch.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from threads.branches import MOST
from threads.lifecycle.importing.refusal import ImportRefused
from threads.path import Path


@dataclass(frozen=True, slots=True)
class Course:
    """One branch."""

    number: int
    parent: int | None
    from_position: int
    path: Path
    count: int


@dataclass(slots=True)
class Tree:
    """Nodes in the order of their positions, and the branches."""

    nodes: list[Mapping[str, Any]] = field(default_factory=list)
    branches: list[Course] = field(default_factory=list)


def arrange(mapping: Mapping[str, Any], current: str | None, *, speaks: Callable[[Mapping[str, Any]], bool]) -> Tree:
    """Raises ImportRefused for what is no tree. Nodes that say nothing are left out."""
    paths = [_up(mapping, leaf) for leaf in _leaves(mapping, current)]
    said = {node: speaks(mapping[node]) for path in paths for node in path}
    spoken: list[list[str]] = []
    for path in ([node for node in path if said[node]] for path in paths):
        if path and path not in spoken:
            spoken.append(path)
    # A course that is the beginning of another is no course of its own, but for the current one.
    courses = [path for path in spoken[:-1] if not any(other[: len(path)] == path for other in spoken if other != path)]
    return _placed(mapping, [*courses, *spoken[-1:]])


def _leaves(mapping: Mapping[str, Any], current: str | None) -> list[str]:
    parents = {node.get("parent") for node in mapping.values()}
    leaves = [name for name in mapping if name not in parents]
    if current is None and leaves:
        current = leaves[-1]
    if current is not None and current not in mapping:
        raise ImportRefused("The current message of a conversation is not in it.")
    others = [name for name in leaves if name != current]
    return [*others[-(MOST - 1) :], *([current] if current is not None else [])]


def _up(mapping: Mapping[str, Any], leaf: str) -> list[str]:
    path: list[str] = []
    seen: set[str] = set()
    node: str | None = leaf
    while node is not None:
        if node in seen or node not in mapping:
            raise ImportRefused("The messages of a conversation are no tree.")
        seen.add(node)
        path.append(node)
        node = mapping[node].get("parent")
    return path[::-1]


def _placed(mapping: Mapping[str, Any], paths: list[list[str]]) -> Tree:
    tree = Tree()
    place: dict[str, int] = {}
    first: dict[str, int] = {}  # node → the branch that had it first
    for number, path in enumerate(paths, start=1):
        shared = [node for node in path if node in place]
        for node in path[len(shared) :]:
            tree.nodes.append(mapping[node])
            place[node] = len(tree.nodes)
            first[node] = number
        parent = None if number == 1 else first[shared[-1]] if shared else 1
        fork = place[shared[-1]] if shared else 0
        positions = [place[node] for node in path]
        tree.branches.append(
            Course(number, parent, fork, _path(positions, number == len(paths), len(tree.nodes)), len(path))
        )
    return tree


def _path(positions: list[int], active: bool, last: int) -> Path:
    ranges: list[tuple[int, int | None]] = []
    for position in positions:
        if ranges and ranges[-1][1] == position - 1:
            ranges[-1] = (ranges[-1][0], position)
        else:
            ranges.append((position, position))
    path = Path(tuple(ranges))
    return path.going_on_from(last + 1) if active else path
