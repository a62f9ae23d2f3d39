"""`/audit_events` and `/access_alerts`: for those who answer for the workspace. Only read."""

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from threadhub.api.rest.filters_audit import AccessAlertFilter, AuditEventFilter
from threadhub.api.rest.pagination import KeysetPagination, UncountedPagination
from threadhub.api.rest.representations.audit import AccessAlertRepresentation, AuditEventRepresentation
from threadhub.api.rest.views.base import RestViewSet
from threadhub.audit.models import AccessAlert, AuditEvent
from threadhub.workspaces.permissions import Permission


class AuditEvents(RestViewSet):
    permissions = {"GET": Permission.AUDIT_READ}
    filterset_class = AuditEventFilter
    pagination_class = UncountedPagination

    def get_queryset(self) -> QuerySet[AuditEvent]:
        return AuditEvent.objects.filter(workspace_id=self.actor.workspace_id)

    @extend_schema(responses={200: AuditEventRepresentation(many=True)})
    def list(self, request: Request) -> Response:
        """What was done in the workspace: by whom, to which things, when and from where."""
        return self.page(self.get_queryset(), AuditEventRepresentation)


class AccessAlerts(RestViewSet):
    permissions = {"GET": Permission.AUDIT_READ}
    filterset_class = AccessAlertFilter
    pagination_class = KeysetPagination

    def get_queryset(self) -> QuerySet[AccessAlert]:
        return AccessAlert.objects.filter(workspace_id=self.actor.workspace_id)

    @extend_schema(responses={200: AccessAlertRepresentation(many=True)})
    def list(self, request: Request) -> Response:
        """Unusual access: ids walked through, bursts of reads, keys used from a new address."""
        return self.page(self.get_queryset(), AccessAlertRepresentation)
