"""`/end_users`: the people of the product for whom something was done, by their references."""

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from threadhub.api.rest.filters import EndUserFilter
from threadhub.api.rest.pagination import KeysetPagination
from threadhub.api.rest.representations.access import EndUserRepresentation
from threadhub.api.rest.views.base import RestViewSet
from threadhub.workspaces import end_users
from threadhub.workspaces.models import EndUser
from threadhub.workspaces.permissions import Permission


class EndUsers(RestViewSet):
    permissions = {"GET": Permission.END_USER_READ}
    filterset_class = EndUserFilter
    pagination_class = KeysetPagination

    def get_queryset(self) -> QuerySet[EndUser]:
        return end_users.visible(actor=self.actor)

    @extend_schema(responses={200: EndUserRepresentation(many=True)})
    def list(self, request: Request) -> Response:
        """Newest first."""
        return self.page(self.get_queryset(), EndUserRepresentation)
