"""Who did something, by name: what rows keep of them is an identity (`user:…`, `key:…`), which nobody can read."""

from collections.abc import Iterable, Sequence
from typing import Any
from uuid import UUID

from django.db.models import Q

from threadhub.console import display
from threadhub.lib import ids
from threadhub.workspaces import end_users
from threadhub.workspaces.models import ApiKey, EndUser, User

NAMED = "named"  # on a row of a list: {identity: name}


def names(identities: Iterable[str]) -> dict[str, str]:
    """What each of them is called: users and keys by their names, end users by the product's reference, three queries
    at most; whoever is gone, or never had a name, by their id."""
    wanted = {identity for identity in identities if identity}
    users, keys = _ids("user", wanted), _ids("key", wanted)
    found = {identity: display.actor(identity) for identity in wanted}
    if users:
        people = list(User.objects.filter(pk__in=users))
        references = end_users.references(people)
        for user in people:
            found[f"user:{user.pk}"] = references.get(user.pk) or user.get_full_name() or user.get_username()
    if keys:
        for pk, name in ApiKey.objects.filter(pk__in=keys).order_by().values_list("pk", "name"):
            found[f"key:{pk}"] = f"key “{name}”"
    return found


def name(identity: str) -> str:
    """The same of one."""
    return names([identity]).get(identity, "")


def spelled(text: str) -> list[str]:
    """The identities that somebody may mean by a text: an id as clients see it, a user name, the product's reference of
    an end user, or an identity itself."""
    kind, _, _ = text.rpartition("_")
    try:
        return [f"{kind}:{ids.decode(kind, text)}"]
    except ids.InvalidId:
        named = User.objects.filter(Q(username=text) | Q(pk__in=EndUser.objects.filter(reference=text).values("user")))
        return [f"user:{pk}" for pk in named.values_list("pk", flat=True)] or [text]


def askers(threads: Iterable[Any]) -> dict[UUID, str]:
    """What those are called whose threads these are, by thread; without visitors, who are nobody's user."""
    owned = [thread for thread in threads if thread.user is not None]
    known = end_users.known_as((thread.workspace_id, thread.user) for thread in owned)
    return {thread.pk: known[thread.workspace_id, thread.user.pk] for thread in owned}


def tell(rows: Sequence[Any], columns: Sequence[str]) -> None:
    """Give a page's rows the names of those whom these columns hold."""
    if columns:
        found = names(getattr(row, column) for row in rows for column in columns)
        for row in rows:
            setattr(row, NAMED, found)


def told(row: Any, column: str) -> str:
    """Who a column of a row names; by the names that `tell` gave it, if it did."""
    identity = getattr(row, column)
    known: dict[str, str] | None = getattr(row, NAMED, None)
    return known.get(identity, "") if known is not None else name(identity)


def _ids(kind: str, identities: Iterable[str]) -> list[UUID]:
    found = []
    for identity in identities:
        prefix, _, rest = identity.partition(":")
        try:
            found += [UUID(rest)] if prefix == kind else []
        except ValueError:
            continue
    return found
