"""What can be asked of threads. Filters chain; a dialect's FilterSet only maps its own names to them."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from functools import reduce
from operator import or_
from typing import TYPE_CHECKING, Any
from uuid import UUID

from django.db import models

from threadhub.agents import access as agents
from threadhub.isolation import scope
from threadhub.workspaces.actor import Actor
from threadhub.workspaces.permissions import Permission
from threads.counts import Counted
from threads.path import on_path

if TYPE_CHECKING:
    from threads.models import Thread  # noqa: F401


def sees_all(actor: Actor) -> bool:
    """Whether the actor sees all threads of the workspace, or all of the one agent that it reaches."""
    return actor.kind != "session" and agents.has_every(actor=actor) and actor.may(Permission.THREAD_READ_ALL)


class Beginning(models.Func):
    """As much of a title as an index holds, and threads are sorted by (`thread_by_title`). The number is part of the
    expression: PostgreSQL knows the index by it."""

    template = "left(%(expressions)s, 100)"
    arity = 1
    output_field = models.TextField(null=True)


def holds_values(pairs: Any) -> bool:
    """Whether there is anything in a JSON value that an index of metadata has an entry of: neither an empty object has
    one, nor an empty array, and who looks for them by the index reads all of it."""
    if isinstance(pairs, dict):
        return any(map(holds_values, pairs.values()))
    return any(map(holds_values, pairs)) if isinstance(pairs, list) else True


class MetadataOfWorkspace(models.Func):
    """The metadata under the id of its workspace, as an index has it (`thread_metadata`): what a pair of one workspace
    is found by does not lead to those of others."""

    template = "jsonb_set('{}'::jsonb, ARRAY[%(expressions)s)"
    arg_joiner = "::text], "
    arity = 2
    output_field = models.JSONField()

    def __init__(self) -> None:
        super().__init__("workspace_id", "metadata")


class ThreadQuerySet(models.QuerySet["Thread"]):
    """`counted` says which counter knows how many these are; every narrowing that says nothing of it drops it."""

    counted: Counted | None = None

    def count(self) -> int:
        """By counters where they know it."""
        query, counted = self.query, self.still_counted()
        if counted is None or self._result_cache is not None:
            return super().count()
        if query.is_sliced or query.combinator or query.distinct or query.is_empty():
            return super().count()
        return counted.number()

    def _clone(self) -> ThreadQuerySet:
        clone: ThreadQuerySet = super()._clone()  # type: ignore[misc]  # no stub
        clone.counted = self.counted
        return clone

    def _counted_as(self, counted: Counted | None) -> ThreadQuerySet:
        """The same, known to a counter as it stands: conditions that come later make it another one."""
        self.counted = replace(counted, conditions=len(self.query.where.children)) if counted else None
        return self

    def still_counted(self) -> Counted | None:
        """The counter that knows how many these are; None: no counter does."""
        counted = self.counted
        return counted if counted and counted.conditions == len(self.query.where.children) else None

    def _all_of(self, actor: Actor) -> Counted | None:
        """The counter of what an actor sees who sees all threads, or all of one agent."""
        return Counted(actor.workspace_id, actor.agent_id) if sees_all(actor) else None

    def visible_to(self, actor: Actor) -> ThreadQuerySet:
        """The threads the actor may see: a visitor's by (agent, external_ref), one's own, or the workspace's; but none
        of an agent that the actor may not have. That last is a subquery evaluated once, not one per row."""
        threads = self.filter(workspace_id=actor.workspace_id, state__in=("active", "archived"))
        if actor.kind == "session":
            return threads.filter(agent=actor.agent_id, external_ref=actor.external_ref)
        if actor.agent_id is not None:
            threads = threads.filter(agent=actor.agent_id)
        if not agents.has_every(actor=actor):
            threads = threads.exclude(agent__in=agents.closed_to(actor=actor).values("pk"))
        if actor.may(Permission.THREAD_READ_ALL):
            return threads._counted_as(self._all_of(actor) if not self.query.where else None)
        if actor.may(Permission.THREAD_READ):
            return threads.filter(user=actor.user_id) if actor.user_id else threads.none()
        return threads.none()

    def with_messages(self) -> ThreadQuerySet:
        """Each with its messages in their order, and their files, ready to be rendered: two queries for all."""
        from threads.models import Message

        # The thread is joined for its path: one look-up by key for each thread of the page.
        on_active_branch = models.Q(thread__path__isnull=True) | models.Q(on_path(models.F("thread__path")))
        messages = Message.objects.filter(on_active_branch).order_by("position").prefetch_related("attachments")
        return self.prefetch_related(models.Prefetch("messages", queryset=messages))

    def with_agent(self, agent_id: UUID) -> ThreadQuerySet:
        counted = self.still_counted()
        return self.filter(agent_id=agent_id)._counted_as(counted.of_agent(agent_id) if counted else None)

    def of_user(self, user_id: UUID) -> ThreadQuerySet:
        return self.filter(user_id=user_id)

    def with_external_ref(self, external_ref: str) -> ThreadQuerySet:
        """Exactly this reference, byte for byte."""
        return self.filter(external_ref=external_ref)

    def in_state(self, state: str) -> ThreadQuerySet:
        counted = self.still_counted()
        return self.filter(state=state)._counted_as(counted.in_state(state) if counted else None)

    def created_from(self, moment: datetime) -> ThreadQuerySet:
        """Created at `moment` or later."""
        counted = self.still_counted()
        return self.filter(created_at__gte=moment)._counted_as(counted.between(first=moment) if counted else None)

    def created_before(self, moment: datetime) -> ThreadQuerySet:
        """Created before `moment`; a thread of that very instant is out."""
        counted = self.still_counted()
        return self.filter(created_at__lt=moment)._counted_as(counted.between(last=moment) if counted else None)

    def created_until(self, moment: datetime) -> ThreadQuerySet:
        """Created at `moment` or earlier."""
        counted = self.still_counted()
        return self.filter(created_at__lte=moment)._counted_as(
            counted.between(last=moment, including=True) if counted else None
        )

    def with_metadata(self, pairs: dict[str, Any]) -> ThreadQuerySet:
        """Whose metadata holds all of `pairs` (JSON containment), by an index where the scope names workspaces and the
        pairs any value."""
        workspaces = scope.current().workspaces
        if not (workspaces and holds_values(pairs)):
            return self.filter(metadata__contains=pairs)
        held = [models.Q(of_workspace__contains={str(one): pairs}) for one in workspaces]
        return self.alias(of_workspace=MetadataOfWorkspace()).filter(reduce(or_, held))

    def titled_like(self, text: str) -> ThreadQuerySet:
        """Whose title holds `text`, in any letter case."""
        return self.filter(title__icontains=text)
