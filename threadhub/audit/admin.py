"""The audit trail and access alerts in the staff console: read, and nothing else."""

from collections.abc import Sequence
from typing import Any, ClassVar

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from threadhub.audit.models import AccessAlert, AuditEvent
from threadhub.console import display, identities
from threadhub.console.base import ConsoleAdmin, column, shown_id
from threadhub.console.filters import CreatedFilter, TextFilter, WorkspaceFilter, by_column
from threadhub.workspaces.permissions import Permission

FACES = [(face, face) for face in ("rest", "ai", "console", "command", "worker")]


class ActorFilter(TextFilter):
    """By user name, a reference of an end user, or an id."""

    title = "Actor"
    names = ("actor",)

    def matching(self, value: str, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(actor__in=identities.spelled(value))


class ActionFilter(TextFilter):
    title = "Action"
    names = ("action",)


class AboutFilter(TextFilter):
    title = "Id"
    names = ("about",)

    def matching(self, value: str, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(ids__contains=[value])


class OfWorkspaces(ConsoleAdmin):
    """What stands in a workspace by its id alone."""

    reading = Permission.AUDIT_READ
    newest_by_workspace = True
    told_by: ClassVar[Sequence[str]] = ("actor",)
    shown_id = staticmethod(shown_id)

    @column("When")
    def when(self, thing: Any) -> str:
        return display.moment(thing.created_at)

    @column("Who")
    def who(self, thing: Any) -> str:
        return display.shortened(identities.told(thing, "actor"), 60)


@admin.register(AuditEvent)
class AuditEventAdmin(OfWorkspaces):
    told_by = ("actor", "on_behalf_of")
    list_display = ("when", "who", "action", "about", "through", "place")
    list_filter = (
        WorkspaceFilter,
        ActorFilter,
        ActionFilter,
        AboutFilter,
        by_column("face", "Through", FACES),
        CreatedFilter,
    )
    search_help_text = "Id of an event, or of anything that events are about"
    fields = (
        ("shown_id", "when"), ("who", "behalf"), ("action", "about"), "details_block", ("through", "place"),
        "client", "chain_hash",
    )  # fmt: skip
    readonly_fields = (
        "shown_id", "when", "who", "behalf", "action", "about", "details_block", "through", "place", "client",
        "chain_hash",
    )  # fmt: skip

    def find(self, request: HttpRequest, queryset: QuerySet[Any], term: str) -> QuerySet[Any]:
        return queryset.filter(ids__contains=[term])

    @column("On behalf of")
    def behalf(self, event: AuditEvent) -> str:
        return display.shortened(identities.told(event, "on_behalf_of"), 60) if event.on_behalf_of else "–"

    @column("About")
    def about(self, event: AuditEvent) -> str:
        more = f" and {len(event.ids) - 2} more" if len(event.ids) > 2 else ""
        return display.shortened(", ".join(event.ids[:2]), 90) + more if event.ids else "–"

    @column("Details")
    def details_block(self, event: AuditEvent) -> str:
        return display.json_block(event.details)

    @column("Through")
    def through(self, event: AuditEvent) -> str:
        return " · ".join(part for part in (event.face, event.address) if part)

    @column("Client")
    def client(self, event: AuditEvent) -> str:
        return display.shortened(event.user_agent, 200) or "–"

    @column("Place in the chain")
    def place(self, event: AuditEvent) -> str:
        return f"{event.seq:,}" if event.seq is not None else "not yet"

    @column("Hash")
    def chain_hash(self, event: AuditEvent) -> str:
        return bytes(event.hash).hex() if event.hash is not None else "–"


@admin.register(AccessAlert)
class AccessAlertAdmin(OfWorkspaces):
    list_display = ("when", "what", "who", "count", "address")
    list_filter = (WorkspaceFilter, by_column("kind", "Kind"), ActorFilter, CreatedFilter)
    search_help_text = "Id of an alert"
    fields = (("shown_id", "when"), ("what", "who"), ("count", "address"), "since")
    readonly_fields = ("shown_id", "when", "what", "who", "count", "address", "since")

    @column("What")
    def what(self, alert: AccessAlert) -> str:
        return alert.get_kind_display()

    @column("Window began")
    def since(self, alert: AccessAlert) -> str:
        return display.moment(alert.window_start)
