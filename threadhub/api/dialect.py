"""Which of the two spellings a request speaks: told by its path alone."""

from typing import Literal

Dialect = Literal["ai", "rest"]

PAGES = frozenset({"admin", "static", "chat"})


def dialect_of(path: str) -> Dialect | None:
    """`ai` under /api, None for the console, the chat page and their files, `rest` for everything else: what is no
    address at all, most often a mistyped one of a client, is told so in JSON too."""
    root = path.split("/", 2)[1] if path.startswith("/") else ""
    if root == "api":
        return "ai"
    return None if root in PAGES else "rest"
