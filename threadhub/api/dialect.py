"""Which of the two spellings a request speaks: told by its path alone."""

from typing import Literal

Dialect = Literal["ai", "rest"]

REST_ROOTS = ("/threads", "/agents", "/chat_sessions", "/search", "/tools", "/files")


def dialect_of(path: str) -> Dialect | None:
    """`ai` under /api, `rest` under its own roots, None for everything else (admin, docs, static files)."""
    if path == "/api" or path.startswith("/api/"):
        return "ai"
    for root in REST_ROOTS:
        if path == root or path.startswith(root + "/"):
            return "rest"
    return None
