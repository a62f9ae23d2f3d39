"""Files of messages: `…/threads/{thread_id}/attachments/{file_id}`."""

from typing import Any

from django.http import HttpResponse
from django.utils.http import content_disposition_header
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request

from threadhub.api.rest.views.base import InThread
from threadhub.api.views import path_id
from threadhub.workspaces.permissions import Permission
from threads import access
from threads.models import Attachment


class Attachments(InThread):
    permissions = {"GET": Permission.THREAD_READ}

    @extend_schema(responses={(200, "*/*"): OpenApiTypes.BINARY})
    def retrieve(self, request: Request, **path: Any) -> HttpResponse:
        """The file as it came. A browser is told to save it, never to show or run it on this origin."""
        thread = self.find_thread()
        attachment_id = path_id(Attachment.PREFIX, self.kwargs["file_id"], access.AttachmentNotFound)
        attachment = access.get_attachment(thread=thread, attachment_id=attachment_id)
        with attachment.file.open("rb") as file:
            response = HttpResponse(file.read(), content_type=attachment.content_type)
        response["Content-Disposition"] = content_disposition_header(True, attachment.filename)
        response["X-Content-Type-Options"] = "nosniff"
        response["Content-Security-Policy"] = "default-src 'none'; sandbox"
        return response
