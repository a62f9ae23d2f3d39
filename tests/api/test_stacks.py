"""What the API goes through is a part of what pages go through, which is what tests by Django's client use."""

import asyncio
from typing import Any

from django.conf import settings
from django.urls import URLPattern, URLResolver, get_resolver
from django.utils.module_loading import import_string

from threadhub.api.dialect import dialect_of

HOOKS = ("process_view", "process_exception", "process_template_response")


def test_what_the_api_goes_through_hooks_into_no_view() -> None:
    made = [import_string(path)(lambda request: request) for path in settings.API_MIDDLEWARE]
    assert not [each for each in made if any(hasattr(each, hook) for hook in HOOKS)]


def test_what_the_api_goes_through_is_how_the_whole_list_begins() -> None:
    assert settings.MIDDLEWARE[: len(settings.API_MIDDLEWARE)] == settings.API_MIDDLEWARE


def test_pages_are_synchronous() -> None:
    """The asynchronous stack answers the API only."""
    waiting = [path for path, view in _views(get_resolver()) if asyncio.iscoroutinefunction(view)]
    assert waiting
    assert not [path for path in waiting if dialect_of(f"/{path}") is None]


def _views(resolver: Any, before: str = "") -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = []
    for each in resolver.url_patterns:
        path = before + str(each.pattern)
        if isinstance(each, URLResolver):
            found += _views(each, path)
        elif isinstance(each, URLPattern):
            found.append((path, each.callback))
    return found
