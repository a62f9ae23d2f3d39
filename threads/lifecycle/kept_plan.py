"""A plan as a job keeps it, and back: what was counted once is shown, and confirmed, as it was counted."""

from collections import Counter
from datetime import datetime
from typing import Any
from uuid import UUID

from threads.lifecycle.extent import Extent
from threads.lifecycle.plan import Effect, Plan, Share

TRASH = "trash"  # stands for no policy: the trash's own time


def keep(plan: Plan) -> dict[str, Any]:
    """As JSON."""
    return {
        **_share(plan),
        "threads": plan.threads,
        "by_policy": {_spelled(key): count for key, count in plan.by_policy.items()},
        "skips": dict(plan.skips),
        "shares": {_spelled(key): _share(share) for key, share in plan.shares.items()},
        "unreadable": [str(each) for each in plan.unreadable],
        "hash": plan.hash,
    }


def recall(*, workspace_id: UUID, cutoff: datetime, kept: dict[str, Any]) -> Plan:
    """The plan that was kept."""
    return Plan(
        workspace_id=workspace_id,
        cutoff=cutoff,
        threads=kept["threads"],
        by_policy=Counter({_read(key): count for key, count in kept["by_policy"].items()}),
        skips=Counter(kept["skips"]),
        shares={_read(key): Share(**_values(share)) for key, share in kept["shares"].items()},
        unreadable=_unreadable(kept),
        kept_hash=kept["hash"],
        **_values(kept),
    )


def keep_effect(effect: Effect) -> dict[str, Any]:
    """What one policy does, as JSON."""
    unreadable = [str(each) for each in effect.unreadable]
    return {**_share(effect.share), "skips": dict(effect.skips), "unreadable": unreadable}


def recall_effect(kept: dict[str, Any]) -> Effect:
    """What one policy does, as it was kept."""
    return Effect(Share(**_values(kept)), Counter(kept["skips"]), _unreadable(kept))


def _share(share: Share) -> dict[str, Any]:
    return {
        "actions": dict(share.actions),
        "by_agent": {str(key): count for key, count in share.by_agent.items()},
        "action_extents": {key: extent.as_list() for key, extent in share.action_extents.items()},
        "agent_extents": {str(key): extent.as_list() for key, extent in share.agent_extents.items()},
        "messages": share.messages,
        "size": share.size,
        "oldest": share.oldest.isoformat() if share.oldest else None,
        "newest": share.newest.isoformat() if share.newest else None,
        "sample": [str(each) for each in share.sample],
    }


def _values(kept: dict[str, Any]) -> dict[str, Any]:
    """Extents are not in what an older version counted, some minutes ago."""
    by_action, by_agent = kept.get("action_extents", {}), kept.get("agent_extents", {})
    return {
        "actions": Counter(kept["actions"]),
        "by_agent": Counter({UUID(key): count for key, count in kept["by_agent"].items()}),
        "action_extents": {key: Extent.of_list(each) for key, each in by_action.items()},
        "agent_extents": {UUID(key): Extent.of_list(each) for key, each in by_agent.items()},
        "messages": kept["messages"],
        "size": kept["size"],
        "oldest": datetime.fromisoformat(kept["oldest"]) if kept["oldest"] else None,
        "newest": datetime.fromisoformat(kept["newest"]) if kept["newest"] else None,
        "sample": [UUID(each) for each in kept["sample"]],
    }


def _unreadable(kept: dict[str, Any]) -> list[UUID]:
    """They are not in what an older version counted, some minutes ago."""
    return [UUID(each) for each in kept.get("unreadable", [])]


def _spelled(policy_id: UUID | None) -> str:
    return str(policy_id) if policy_id else TRASH


def _read(key: str) -> UUID | None:
    return None if key == TRASH else UUID(key)
