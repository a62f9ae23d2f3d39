"""Every address of the admin site, walked from its own patterns: whoever adds a page finds it here."""

import re
from collections.abc import Iterator
from typing import Any

from django.contrib.admin import site

from threadhub.console.base import ConsoleAdmin


def addresses() -> Iterator[tuple[str, str]]:
    """(pattern, name) of every address of the admin site; those without a name redirect."""
    for pattern in site.get_urls():
        inner = getattr(pattern, "url_patterns", None)
        for each in inner or [pattern]:
            if each.name is not None:
                yield (str(pattern.pattern) if inner else "") + str(each.pattern), each.name


def models() -> dict[str, ConsoleAdmin]:
    """`app/model` of every page of the site."""
    return {f"{each._meta.app_label}/{each._meta.model_name}": admin for each, admin in site._registry.items()}


def filled(pattern: str, things: dict[str, Any], extra: dict[str, Any]) -> str | None:
    """The address of a pattern, with things of its model; None where there is nothing to fill it with."""
    noun = "/".join(pattern.split("/")[:2])
    named = {"object_id": things.get(noun), "id": things.get(noun), **extra}
    try:
        return "/admin/" + re.sub(r"<(?:\w+:)?(\w+)>", lambda match: str(named[match[1]]), pattern)
    except KeyError:
        return None
