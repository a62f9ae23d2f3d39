"""Where the branches of a thread part from the one that is read."""

from collections.abc import Sequence

from threads.branches import BEYOND
from threads.models import Branch


def of(shown: Branch, others: Sequence[Branch]) -> dict[int, list[Branch]]:
    """{position: the branches that go on elsewhere after it}; 0: from the beginning. A branch whose ancestors are not
    among `others` (the newest are) is left out."""
    by_number = {branch.number: branch for branch in others} | {shown.number: shown}
    own = _shared(shown, by_number)
    found: dict[int, list[Branch]] = {}
    for branch in others:
        if branch.number == shown.number:
            continue
        common = [min(until, own[number]) for number, until in _shared(branch, by_number).items() if number in own]
        if common:
            found.setdefault(max(common), []).append(branch)
    return found


def _shared(branch: Branch, by_number: dict[int, Branch]) -> dict[int, int]:
    """{branch: up to which position it is shared}, of a branch and those it was forked from."""
    until = BEYOND
    found = {branch.number: until}
    while branch.parent is not None and branch.parent not in found and branch.parent in by_number:
        until = min(until, branch.from_position)
        branch = by_number[branch.parent]
        found[branch.number] = until
    return found
