"""What a browser lets the chat page do, and who may frame it."""

from collections.abc import Iterable


def of_page(*, framed_by: Iterable[str]) -> str:
    """A Content-Security-Policy: scripts, styles and requests of this origin only, nothing inline, no pictures but our
    own, and no text that a script could turn into markup (`trusted-types`). `framed_by`: origins, as validated."""
    ancestors = " ".join(framed_by) or "'none'"
    return "; ".join(
        (
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self'",
            "img-src 'self'",
            "connect-src 'self'",
            "base-uri 'none'",
            "form-action 'none'",
            f"frame-ancestors {ancestors}",
            "require-trusted-types-for 'script'",
            "trusted-types 'none'",
        )
    )
