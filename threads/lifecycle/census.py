"""Whether threads add up: what there was before a sweep is there after it, in some state, or has a tombstone."""

from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import models
from django.db.models.functions import Cast

from threadhub.lib.errors import Failed
from threads.activity import first_id_at
from threads.models import Thread, Tombstone

OF_ITS_TIME = "^.{14}7"  # a UUIDv7, as the hub makes them; those of what was imported may be others


class CountsDoNotAgree(Failed):
    """After the sweep the threads do not add up to those before it."""

    code = "counts_do_not_agree"


def take(*, workspace_id: UUID, until: datetime) -> dict[str, int]:
    """How many threads that were made until then are in which state; `purged`: tombstones of such. One statement, so
    that what is destroyed or brought back meanwhile counts once."""
    rows = (
        Thread.objects.filter(workspace_id=workspace_id, created_at__lte=until)
        .exclude(state=Thread.State.TEMPORARY)
        .order_by()
        .values_list("state")
        .annotate(count=models.Count("pk"))
    )
    found = rows.union(_buried(workspace_id, until), all=True)
    return {"active": 0, "archived": 0, "trashed": 0, "purged": 0, **dict(found)}


def compare(*, workspace_id: UUID, before: dict[str, int], until: datetime) -> dict[str, int]:
    """Take it again after a sweep that began at `until`; how many there were then, and are now in which state. What was
    made meanwhile stands for nothing that was lost; what was imported meanwhile may be older, so there may be more.
    Raises CountsDoNotAgree."""
    after = take(workspace_id=workspace_id, until=until)
    if sum(after.values()) < sum(before.values()):
        raise CountsDoNotAgree(f"There were {before}, there are {after}.")
    if twice := _twice(workspace_id, until):
        raise CountsDoNotAgree(f"{twice} threads that were purged are still there.")
    return {"before": sum(before.values()), **after}


def _buried(workspace_id: UUID, until: datetime) -> "models.QuerySet[Tombstone, Any]":
    """Tombstones, but for those of threads that were made after that: by their ids, which tell the time."""
    stones = Tombstone.objects.filter(workspace_id=workspace_id).annotate(spelled=Cast("thread_id", models.CharField()))
    made_until_then = models.Q(thread_id__lt=first_id_at(until)) | ~models.Q(spelled__regex=OF_ITS_TIME)
    own = stones.filter(made_until_then).order_by().annotate(found_as=models.Value("purged"))
    return own.values_list("found_as").annotate(count=models.Count("pk"))


def _twice(workspace_id: UUID, since: datetime) -> int:
    """How many threads have a tombstone that is as new as this sweep, and a row: an import that brings one back removes
    its tombstone. Only the newest tombstones are read, by the index tombstone_newest."""
    stones = Tombstone.objects.filter(workspace_id=workspace_id, purged_at__gte=since)
    there = Thread.objects.filter(workspace_id=workspace_id, pk=models.OuterRef("thread_id"))
    return stones.filter(models.Exists(there)).count()
