"""The table of what a failed run says names every code that there is, and no other."""

import ast
import re
from collections.abc import Iterator

from tests.hub import ROOT
from threadhub.agents.budgets import BudgetExceeded
from threadhub.agents.provider_errors import ProviderError
from threads.runs.continuing import REFUSED
from threads.runs.tools import REFUSALS

README = ROOT / "threads" / "README.md"
CODE = re.compile(r"[a-z]+(_[a-z]+)+")


def told(heading: str) -> set[str]:
    """The codes in the first column of the table under a heading, or with it."""
    _, _, rest = README.read_text().partition(heading)
    table = re.search(r"(?:^\|.*\n)+", rest, re.MULTILINE)
    assert table is not None
    cells = [line.split("|")[1] for line in table[0].splitlines()]
    return {code for cell in cells for code in re.findall(r"`([a-z_]+)`", cell)}


def faults() -> Iterator[str]:
    """Codes of the pairs (code, sentence) that are constants of `threads/runs`."""
    for path in (ROOT / "threads" / "runs").glob("*.py"):
        for node in ast.parse(path.read_text()).body:
            match node:
                case ast.Assign(value=ast.Tuple(elts=[ast.Constant(value=str(code)), ast.Constant(value=str())])):
                    if CODE.fullmatch(code):
                        yield code


def subclasses(cls: type[ProviderError]) -> Iterator[type[ProviderError]]:
    for each in cls.__subclasses__():
        yield each
        yield from subclasses(each)


def test_the_codes_of_failed_runs() -> None:
    known = {*faults(), BudgetExceeded.code, *(each.code for each in subclasses(ProviderError))}
    assert len(known) > 15
    assert told("## What a failed run says") == known


def test_which_of_them_are_tried_again() -> None:
    rows = README.read_text().partition("## What a failed run says")[2]
    for error in subclasses(ProviderError):
        (row,) = re.findall(rf"^\| `{error.code}` \|.*\| (.*) \|$", rows, re.MULTILINE)
        assert row.startswith("yes") is error.retryable, error.code


def test_the_codes_of_calls_that_are_not_made() -> None:
    assert told("code of a refused call") | told("| code of a refused call") >= {*REFUSALS, *REFUSED.values()}
