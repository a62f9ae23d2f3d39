"""`…/threads/{thread_id}/copy`: a new thread with what this one holds up to a message."""

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from threadhub.api.rest.inputs.branches import ThreadCopy
from threadhub.api.rest.representations.threads import ThreadRepresentation
from threadhub.api.rest.views.agent_threads import made
from threadhub.api.rest.views.base import InThread
from threadhub.api.views import path_id
from threadhub.workspaces.permissions import Permission
from threads import access
from threads.actions.copy import copy
from threads.models import Message


class Copies(InThread):
    permissions = {"POST": Permission.THREAD_WRITE}

    @extend_schema(request=ThreadCopy, responses={201: ThreadRepresentation})
    def create(self, request: Request, **path: Any) -> Response:
        """Messages with new ids and files of their own, and the summaries of what was copied whole; no runs."""
        actor = self.acting
        thread = self.find_thread(actor)
        fields = ThreadCopy.parse(request)
        message_id = fields.pop("message_id", None)
        if message_id is not None:
            fields["message_id"] = path_id(Message.PREFIX, message_id, access.MessageNotFound)
        new = copy(actor=actor, thread=thread, now=self.now, **fields)
        return made(new, status=201, base=self.threads_path)
