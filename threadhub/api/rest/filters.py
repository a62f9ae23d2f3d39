"""Filters of lists: each maps a name on the wire to a chainable method of the queryset."""

from collections.abc import Callable
from typing import Any
from uuid import UUID

import django_filters
from django import forms
from django.db.models import QuerySet
from rest_framework.filters import BaseFilterBackend
from rest_framework.request import Request

from threadhub.agents.models import Agent
from threadhub.api.rest import dates
from threadhub.lib import ids, json
from threadhub.lib.errors import Invalid
from threadhub.workspaces import end_users
from threadhub.workspaces.actor import Actor
from threads.models import Message, Thread, ToolApproval
from threads.querysets.threads import ThreadQuerySet, holds_values
from threads.thread_rows import Wanted

NO_ID = UUID(int=0)  # what an id that cannot be one stands for: nothing has it, so nothing is found
STATES = ("active", "archived")
SOMETHING = r"\S"  # as a pattern: not only spaces


class Read(forms.Field):
    """A form field that hands over what a function reads from the text; None only where there was no parameter."""

    def __init__(self, *, read: Callable[[str], Any], **options: Any) -> None:
        super().__init__(**options)
        self.read = read

    def clean(self, value: Any) -> Any:
        if value is None:
            return None
        try:
            return self.read(value)
        except ValueError as error:
            raise forms.ValidationError(str(error)) from error


class Chained(django_filters.Filter):  # type: ignore[misc]
    """`read` turns the parameter's text into a value, `narrow` applies it. An empty text is a value like any other."""

    field_class = Read

    def __init__(
        self, read: Callable[[str], Any], narrow: Callable[[Any, Any], Any], *, description: str, **schema: Any
    ) -> None:
        super().__init__(label=description, read=read)
        self.read = read
        self.narrow = narrow
        self.schema = {"type": "string", **schema}

    def filter(self, qs: Any, value: Any) -> Any:
        return qs if value is None else self.narrow(qs, value)


def an_id(prefix: str) -> Callable[[str], Any]:
    """Reads ids; what is not the canonical spelling of one is an id that nothing has."""

    def read(text: str) -> Any:
        try:
            return ids.decode(prefix, text)
        except ids.InvalidId:
            return NO_ID

    return read


class OfUser(Chained):
    """A user's, named by a `user_…` id or by the product's own reference of an end user."""

    def filter(self, qs: Any, value: Any) -> Any:
        return qs if value is None else self.narrow(qs, user_named(value, self.parent.request.user))


def user_named(text: str, actor: Actor) -> UUID:
    """The user_id that a parameter means; NO_ID where it is nobody's."""
    return end_users.meant(workspace_id=actor.workspace_id, name=text) or NO_ID


def one_of(*choices: str) -> Callable[[str], str]:
    def read(text: str) -> str:
        if text not in choices:
            raise ValueError(f"This must be one of: {', '.join(choices)}.")
        return text

    return read


def some_text(text: str) -> str:
    if not text.strip():
        raise ValueError("This must not be empty.")
    return text


def truth(text: str) -> bool:
    """`true` or `false`, in any letter case (Python clients send `True`), or 1 or 0."""
    try:
        return {"true": True, "1": True, "false": False, "0": False}[text.lower()]
    except KeyError as error:
        raise ValueError("This must be true or false.") from error


def an_object(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text.encode())
    except (json.MalformedJSON, json.RefusedJSON) as error:
        raise ValueError('This must be a JSON object such as {"plan": "gold"}.') from error
    if not isinstance(value, dict):
        raise ValueError('This must be a JSON object such as {"plan": "gold"}.')
    return value


def until(threads: ThreadQuerySet, last: dates.End) -> ThreadQuerySet:
    return threads.created_until(last.moment) if last.inclusive else threads.created_before(last.moment)


class InOrder(forms.Form):
    """A range must be able to hold something."""

    def clean(self) -> dict[str, Any]:
        values: dict[str, Any] = super().clean() or {}
        first, last = values.get("date_from"), values.get("date_to")
        if first is not None and last is not None and dates.is_empty(first, last):
            self.add_error("date_from", "date_from must not be after date_to.")
        return values


class ThreadFilter(django_filters.FilterSet):  # type: ignore[misc]
    """Seed 003's filters in its own spelling (camel and snake case mixed), and those of threadhub."""

    userId = OfUser(
        str, ThreadQuerySet.of_user, description="Threads of this user: an id, or your own reference of an end user."
    )
    externalRef = Chained(
        str, ThreadQuerySet.with_external_ref, description="Exactly this external reference; empty: the empty one."
    )
    agentId = Chained(an_id(Agent.PREFIX), ThreadQuerySet.with_agent, description="Threads with this agent.")
    date_from = Chained(
        dates.start,
        ThreadQuerySet.created_from,
        description="Created then or later: a date (UTC) or an ISO 8601 time.",
        example="2024-01-01",
    )
    date_to = Chained(
        dates.end,
        until,
        description="Created then or earlier; a date includes that whole day (UTC).",
        example="2024-01-31",
    )
    metadata = Chained(
        an_object,
        ThreadQuerySet.with_metadata,
        description="A JSON object; threads whose metadata holds all of it.",
        example='{"plan": "gold"}',
    )
    state = Chained(one_of(*STATES), ThreadQuerySet.in_state, description="State of the thread.", enum=list(STATES))
    title = Chained(
        some_text,
        ThreadQuerySet.titled_like,
        description="Part of the title, in any letter case.",
        minLength=1,
        pattern=SOMETHING,
    )

    class Meta:
        form = InOrder


# Of these the prepared statements of thread_rows know what they mean; the rest asks the queryset.
WANTED = {
    "agentId": "agent_id",
    "userId": "user_id",
    "externalRef": "external_ref",
    "metadata": "metadata",
    "state": "state",
}


def wanted(request: Request, actor: Actor, **more: Any) -> Wanted | None:
    """What ThreadFilter would narrow to; None where it must be asked itself: to narrow, or to say what is wrong."""
    fields: dict[str, Any] = dict(more)
    for name, text in request.query_params.items():
        if name in ThreadFilter.base_filters:
            field = WANTED.get(name)
            if field is None or field in fields:
                return None
            try:
                fields[field] = ThreadFilter.base_filters[name].read(text)
            except ValueError:
                return None
    if "user_id" in fields:
        fields["user_id"] = user_named(fields["user_id"], actor)
    if "metadata" in fields:
        if not holds_values(fields["metadata"]):
            return None
        fields["metadata"] = json.dumps(fields["metadata"]).decode()
    return Wanted(actor, **fields)


class AgentFilter(django_filters.FilterSet):  # type: ignore[misc]
    active = Chained(
        truth,
        lambda agents, value: agents.filter(active=value),
        description="Only agents that may be asked, or only disabled ones.",
        enum=["true", "false"],
    )


class ChatSessionFilter(django_filters.FilterSet):  # type: ignore[misc]
    agentId = Chained(
        an_id(Agent.PREFIX), lambda sessions, value: sessions.filter(agent_id=value), description="With this agent."
    )
    externalRef = Chained(
        str, lambda sessions, value: sessions.filter(external_ref=value), description="Exactly this reference."
    )


class EndUserFilter(django_filters.FilterSet):  # type: ignore[misc]
    reference = Chained(
        str, lambda people, value: people.filter(reference=value), description="Exactly this reference of yours."
    )


class ApprovalFilter(django_filters.FilterSet):  # type: ignore[misc]
    status = Chained(
        one_of(*ToolApproval.Status.values),
        lambda approvals, value: approvals.filter(status=value),
        description="Only approvals of this status.",
        enum=list(ToolApproval.Status.values),
    )
    threadId = Chained(
        an_id(Thread.PREFIX), lambda approvals, value: approvals.filter(thread_id=value), description="Of this thread."
    )
    agentId = Chained(
        an_id(Agent.PREFIX),
        lambda approvals, value: approvals.filter(run__agent_id=value),
        description="Asked for by this agent.",
    )


class MessageFilter(django_filters.FilterSet):  # type: ignore[misc]
    role = Chained(
        one_of(*Message.Role.values),
        lambda messages, value: messages.filter(role=value),
        description="Only messages of this role.",
        enum=list(Message.Role.values),
    )


class FilterSetBackend(BaseFilterBackend):
    """Applies the view's `filterset_class`. Raises Invalid with a row per faulty parameter."""

    def filter_queryset(self, request: Request, queryset: QuerySet[Any], view: Any) -> QuerySet[Any]:
        filterset_class = getattr(view, "filterset_class", None)
        if filterset_class is None:
            return queryset
        filterset = filterset_class(request.query_params, queryset, request=request)
        if not filterset.is_valid():
            rows = [
                {"loc": ["query", name], "msg": message, "type": "value_error"}
                for name, messages in filterset.errors.items()
                for message in messages
            ]
            raise Invalid(rows[0]["msg"], rows)
        narrowed: QuerySet[Any] = filterset.qs
        return narrowed

    def get_schema_operation_parameters(self, view: Any) -> list[dict[str, Any]]:
        filterset_class = getattr(view, "filterset_class", None)
        filters = filterset_class.base_filters if filterset_class else {}
        return [parameter(name, filters[name].label, **filters[name].schema) for name in filters]


def parameter(name: str, description: str, **schema: Any) -> dict[str, Any]:
    """A query parameter as OpenAPI writes it."""
    return {"name": name, "in": "query", "required": False, "description": description, "schema": schema}
