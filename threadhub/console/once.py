"""Secrets on their way to the one page that shows them: sealed in the session, and taken out by being read."""

from django.http import HttpRequest

from threadhub.lib import sealed


def put(request: HttpRequest, name: str, secret: str) -> None:
    """Keep a secret for the next page of this session."""
    request.session[_place(name)] = sealed.seal(secret.encode()).decode()


def take(request: HttpRequest, name: str) -> str | None:
    """The secret, and forget it. None where there is none, or none any more."""
    kept = request.session.pop(_place(name), None)
    try:
        return sealed.unseal(kept.encode()).decode() if kept else None
    except sealed.Unreadable:
        return None


def _place(name: str) -> str:
    return f"shown once: {name}"
