"""What a change did to those parts of an agent that no version holds: who may have it, its web pages, whether it is
active, its keys and its budgets. It stands in the audit trail, and with the versions it is the agent's history.

Details of events: `active`, `limited` and `identity_required` are [before, after]; lists {"added": […], "removed": […]}
with ids as clients spell them; `public_key` and `identity_secret` a word of KEYS, never the key itself.
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from django.db.models import Q, QuerySet

from threadhub.agents.models import Agent
from threadhub.audit.models import AGENT_CHANGED, IN_HISTORY, AuditEvent
from threadhub.lib import ids
from threadhub.workspaces.actor import Actor
from threadhub.workspaces.models import ApiKey, User
from threadhub.workspaces.permissions import Permission

SWITCHES = ("active", "limited", "identity_required")
LISTS: Mapping[str, Callable[[Any], str]] = {
    "allowed_roles": str,
    "allowed_users": lambda each: ids.encode(User.PREFIX, each),
    "allowed_keys": lambda each: ids.encode(ApiKey.PREFIX, each),
    "allowed_origins": str,
}
SECRETS = ("public_key", "identity_secret")
MADE, RENEWED, WITHDRAWN = KEYS = ("made", "renewed", "withdrawn")
PARTS = (*SWITCHES, *LISTS, *SECRETS)
NAMED = 20  # of those who came to a list or went: the trail's details are small


def standing(agent: Agent) -> dict[str, Any]:
    """How these parts stand; lists by their wire ids."""
    switches = {name: getattr(agent, name) for name in SWITCHES}
    return switches | {name: [spell(each) for each in getattr(agent, name)] for name, spell in LISTS.items()}


def between(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, Any]:
    """What differs, as the details of an event tell it."""
    told: dict[str, Any] = {}
    for name, now in after.items():
        then = before[name]
        if name in SWITCHES and now != then:
            told[name] = [then, now]
        elif name in LISTS and set(now) != set(then):
            told[name] = in_list(added=[x for x in now if x not in then], removed=[x for x in then if x not in now])
    return told


def in_list(*, added: list[str], removed: list[str]) -> dict[str, Any]:
    """Who came to a list and who went; beyond NAMED, how many more."""
    told: dict[str, Any] = {"added": added[:NAMED], "removed": removed[:NAMED]}
    more = len(added) + len(removed) - len(told["added"]) - len(told["removed"])
    return told | {"more": more} if more else told


def of_agent(*, actor: Actor, agent: Agent, since: datetime | None = None) -> QuerySet[AuditEvent]:
    """The events of an agent that tell of such changes, newest first. Raises PermissionMissing.

    Whoever may change an agent may know who did, without leave to read the whole trail.
    """
    actor.require(Permission.AGENT_WRITE)
    of_its_own = Q(action__startswith="agent.")
    events = AuditEvent.objects.alias(agent=AGENT_CHANGED).filter(
        IN_HISTORY,
        Q(details__has_any_keys=PARTS) | ~of_its_own,
        workspace_id=agent.workspace_id,
        agent=agent.wire_id,
    )
    if since is not None:
        events = events.filter(created_at__gt=since)
    return events.order_by("-created_at", "-id")
