"""What a prompt tells echo to do: directives, read into steps. The language is described in `echo.py`."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, TypeAlias, cast

from threadhub.agents.events import FinishReason
from threadhub.agents.provider_errors import ERRORS

MAX_WORDS = 200_000
MAX_SECONDS = 3600.0
FINISH_REASONS = ("stop", "length", "content_filter")

_NAME = re.compile(r"/([a-z]+)(?:[ \t]+|$)")
_WORD = re.compile(r"(\S+)[ \t]*")
_NUMBER = re.compile(r"[0-9]{1,9}(\.[0-9]{1,6})?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Step:
    """What echo does when it is asked once; a step with `calls` ends by asking for those tools.

    `failure` is a code and `silence` a number of seconds, each with the number of words that come before it.
    """

    say: tuple[str, ...] = ()
    calls: tuple[tuple[str, dict[str, Any]], ...] = ()
    failure: tuple[str, int] | None = None
    silence: tuple[float, int] | None = None
    seconds_per_word: float = 0.0
    length: int | None = None
    context: bool = False
    finish: FinishReason = "stop"


@dataclass(frozen=True, slots=True)
class Script:
    """The steps of one prompt in order, the last without calls; its `text` is what is no directive."""

    steps: tuple[Step, ...]
    text: str
    loop: bool = False

    def step(self, number: int) -> Step:
        """The step after tools were called `number` times; with `loop` the last call comes for ever."""
        if self.loop and number >= len(self.steps) - 1 and len(self.steps) > 1:
            return self.steps[-2]
        return self.steps[min(number, len(self.steps) - 1)]


def parse(prompt: str) -> Script:
    """Read a prompt. What cannot be read as a directive is plain text: nothing a person types is refused."""
    plain: list[str] = []
    done: list[Step] = []
    step = Step()
    loop = False
    for line in prompt.split("\n"):
        rest, found = line, False
        while (directive := _read(rest)) is not None:
            name, value, rest = directive
            found = True
            loop = loop or name == "loop"
            if step.calls and name not in ("tool", "loop"):
                done.append(step)
                step = Step(seconds_per_word=step.seconds_per_word)
            step = _applied(step, name, value)
        if rest or not found:
            plain.append(rest)
    done.append(step)
    if step.calls:
        done.append(Step(seconds_per_word=step.seconds_per_word))
    return Script(steps=tuple(done), text="\n".join(plain), loop=loop)


def _applied(step: Step, name: str, value: Any) -> Step:
    match name:
        case "tool":
            return replace(step, calls=(*step.calls, value))
        case "say":
            return replace(step, say=(*step.say, value))
        case "fail":
            return replace(step, failure=value)
        case "hang":
            return replace(step, silence=value)
        case "slow":
            return replace(step, seconds_per_word=value)
        case "length":
            return replace(step, length=value)
        case "finish":
            return replace(step, finish=value)
        case "context":
            return replace(step, context=True)
        case _:
            return step


_Read: TypeAlias = tuple[Any, str] | None


def _read(text: str) -> tuple[str, Any, str] | None:
    """The directive that `text` starts with: its name, its value, and what follows it."""
    match = _NAME.match(text)
    if match is None or match[1] not in _READERS:
        return None
    read = _READERS[match[1]](text[match.end() :])
    return None if read is None else (match[1], *read)


def _tool(text: str) -> _Read:
    match = _WORD.match(text)
    if match is None:
        return None
    name, rest = match[1], text[match.end() :]
    if not rest.startswith("{"):
        return (name, {}), rest
    try:
        arguments, end = json.JSONDecoder().raw_decode(rest)
    except (ValueError, RecursionError):
        return None
    return (name, arguments), rest[end:].lstrip(" \t")


def _say(text: str) -> _Read:
    return text, ""


def _nothing(text: str) -> _Read:
    return None, text


def _fail(text: str) -> _Read:
    match = _WORD.match(text)
    if match is None or match[1] not in ERRORS:
        return None
    after, rest = _optional_count(text[match.end() :])
    return (match[1], after), rest


def _hang(text: str) -> _Read:
    seconds = _number(text)
    if seconds is None or seconds[0] > MAX_SECONDS:
        return None
    after, rest = _optional_count(seconds[1])
    return (seconds[0], after), rest


def _slow(text: str) -> _Read:
    seconds = _number(text)
    return seconds if seconds is not None and seconds[0] <= MAX_SECONDS else None


def _length(text: str) -> _Read:
    match = _WORD.match(text)
    if match is None or not match[1].isascii() or not match[1].isdigit() or int(match[1][:9]) > MAX_WORDS:
        return None
    return int(match[1][:9]), re.sub(r"\Awords?(?:[ \t]+|\Z)", "", text[match.end() :])


def _finish(text: str) -> _Read:
    match = _WORD.match(text)
    if match is None or match[1] not in FINISH_REASONS:
        return None
    return cast(FinishReason, match[1]), text[match.end() :]


def _number(text: str) -> tuple[float, str] | None:
    match = _WORD.match(text)
    if match is None or _NUMBER.fullmatch(match[1]) is None:
        return None
    return float(match[1]), text[match.end() :]


def _optional_count(text: str) -> tuple[int, str]:
    """A number of words, if `text` starts with one, else none: 0."""
    read = _number(text)
    return (0, text) if read is None else (int(read[0]), read[1])


_READERS: dict[str, Callable[[str], _Read]] = {
    "tool": _tool,
    "say": _say,
    "fail": _fail,
    "hang": _hang,
    "slow": _slow,
    "length": _length,
    "finish": _finish,
    "context": _nothing,
    "loop": _nothing,
}


def pieces(text: str) -> Iterator[str]:
    """`text` cut into words, each with the space after it; together they are `text`."""
    for match in re.finditer(r"\S+\s*|\s+", text):
        yield match[0]
