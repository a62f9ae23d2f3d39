"""What somebody typed into a search box, much as the search of messages reads it: words, phrases in quotes, `or`, and
`-` before what must not be there. `a or b c` is here any of the three, there `a`, or `b` and `c`."""

import re
from dataclasses import dataclass

MOST = 8  # words and phrases that are looked for in titles, and marked in hits
ASKED = re.compile(r'(-?)"([^"]*)"?|([^\s"]+)')  # a phrase, which may be unfinished, or a word


@dataclass(frozen=True, slots=True)
class Terms:
    """`wanted` all together, or `any_of` them; none of `unwanted`."""

    wanted: list[str]
    unwanted: list[str]
    any_of: bool


def read(text: str) -> Terms:
    """Of a text without a word, that text itself is wanted."""
    wanted: list[str] = []
    unwanted: list[str] = []
    any_of = False
    for minus, phrase, word in ASKED.findall(text):
        if word.lower() == "or":
            any_of = True
        elif each := " ".join((phrase or word.removeprefix("-")).split()):
            (unwanted if minus or word.startswith("-") else wanted).append(each)
    return Terms(wanted[:MOST] or [each for each in [text.strip()] if each], unwanted[:MOST], any_of)
