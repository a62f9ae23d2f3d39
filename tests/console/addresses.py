"""Every address of the admin site, walked from its own patterns: whoever adds a page finds it here."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from django.contrib.admin import site

from threadhub.console.base import ConsoleAdmin
from threadhub.console.conversations import desk

# Addresses that are of no model and show nothing of anybody's.
OF_NOBODY = {"login", "logout", "app_list", "jsi18n", "autocomplete", "search", "view_on_site"}
# What opens no page when it is asked for: the end of its name, and what it does instead.
NO_PAGE = {
    "add_try": "is posted to",
    "certificate": "a file",
    "deletion": "is refused: what may be removed is removed by a deed",
    "desk": "is posted to",
    "download": "a file",
    "file": "a file",
    "live": "figures for the page's script",
    "progress": "figures for the page's script",
    "reason": "is posted to",
    "secret": "shows what was made just before, once",
    "step": "leads to another page",
    "try": "is posted to",
}
CALLED = {"changelist": "list", "change": "page", "delete": "deletion", "index": "overview"}


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


def noun_of(pattern: str) -> str:
    """`app/model` of a pattern that is one of a model's."""
    return "/".join(pattern.split("/")[:2])


def filled(pattern: str, things: Mapping[str, Any], extra: Mapping[str, Any]) -> str | None:
    """The address of a pattern, with things of its model; None where there is nothing to fill it with."""
    noun = noun_of(pattern)
    named = {"object_id": things.get(noun), "id": things.get(noun), **extra}
    try:
        return "/admin/" + re.sub(r"<(?:\w+:)?(\w+)>", lambda match: str(named[match[1]]), pattern)
    except KeyError:
        return None


def of_things(things: Mapping[str, Any], extra: Mapping[str, Any]) -> dict[str, str]:
    """name: address, of all that can be asked of these things and of the site.

    Names are `app/model` and what it is: `list`, `page`, `add`, `history`, a deed's name, or the end of the address's
    own name. `extra` has what stands in addresses besides ids.
    """
    found: dict[str, str] = {}
    for pattern, name in addresses():
        noun = noun_of(pattern)
        if name in OF_NOBODY:
            continue
        if noun not in models():
            found[CALLED.get(name, name)] = f"/admin/{pattern}"
            continue
        kind = name.removeprefix(f"{noun.replace('/', '_')}_")
        for told, deed in _deeds(noun, kind):
            address = filled(pattern, things, {**extra, "deed": deed})
            assert address is not None, f"nothing to fill {pattern} with"
            found[f"{noun} {told}"] = address
    return found


def _deeds(noun: str, kind: str) -> list[tuple[str, str | None]]:
    """What an address is called, and the deed in it where it has one."""
    if kind == "deed":
        return [(deed.name, deed.name) for deed in models()[noun].deeds]
    if kind == "desk":
        return [(f"desk {deed}", deed) for deed in desk.DEEDS]
    return [(CALLED.get(kind, kind), None)]


def may_be_added(noun: str) -> bool:
    """Whether there is a form for a new one; that of workspaces is for superusers."""
    return models()[noun].may_be_added or noun == "workspaces/workspace"


def opens_a_page(name: str) -> bool:
    """Whether an address of `of_things` is one that somebody opens in a browser and reads."""
    noun, _, what = name.partition(" ")
    return may_be_added(noun) if what == "add" else what.partition(" ")[0] not in NO_PAGE


def questions() -> set[str]:
    """The names of the pages that ask before something is done."""
    return {f"{noun} {deed.name}" for noun, admin in models().items() for deed in admin.deeds}
