"""`/exports`, `/exports/{export_id}`, `/exports/{export_id}/download` and `/threads/{thread_id}/export`."""

import tempfile
from collections.abc import AsyncIterator, Iterator
from typing import IO, Any

from django.core.files.storage import default_storage
from django.db.models import QuerySet
from django.http import StreamingHttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from chat_sessions.models import EXTERNAL_REF_CHARACTERS
from threadhub import audit
from threadhub.agents.models import Agent
from threadhub.api.rest.filters import an_id
from threadhub.api.rest.inputs.strict import Strict, Text
from threadhub.api.rest.pagination import KeysetPagination
from threadhub.api.rest.representations.fields import WireId, moment
from threadhub.api.rest.views.base import InThread, RestViewSet
from threadhub.api.views import path_id
from threadhub.lib.asynchronous import in_thread
from threadhub.lib.errors import Invalid
from threadhub.workspaces.models import User
from threadhub.workspaces.permissions import Permission
from threads.lifecycle.exporting import container, exports
from threads.models import Export

PART_BYTES = 2**18
TYPES = {
    "jsonl": ("application/x-ndjson", "jsonl"),
    "html": ("text/html; charset=utf-8", "html"),
    "markdown": ("text/markdown; charset=utf-8", "md"),
    "csv": ("text/csv; charset=utf-8", "csv"),
}
FORMAT = OpenApiParameter("format", str, enum=container.FORMATS, description="`jsonl` where nothing is said.")


class FileStream(StreamingHttpResponse):
    """An open file, part by part, in the event loop too."""

    def __init__(self, file: IO[bytes], **options: Any) -> None:
        super().__init__(self._parts(file), **options)
        self._file = file
        self._resource_closers.append(file.close)  # type: ignore[attr-defined]  # as FileResponse does

    @staticmethod
    def _parts(file: IO[bytes]) -> Iterator[bytes]:
        while part := file.read(PART_BYTES):
            yield part

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while part := await in_thread(self._file.read)(PART_BYTES):
            yield part


class NewExport(Strict):
    """Of the workspace, or of what is named, as in a list's filters: what names nothing gives an empty one."""

    format = serializers.ChoiceField(choices=container.FORMATS)
    agent_id = Text(required=False)
    user_id = Text(required=False)
    external_ref = Text(required=False, max_length=EXTERNAL_REF_CHARACTERS)

    def validate(self, fields: dict[str, Any]) -> dict[str, Any]:
        for name, prefix in (("agent_id", Agent.PREFIX), ("user_id", User.PREFIX)):
            if name in fields:
                fields[name] = an_id(prefix)(fields[name])
        return fields


class ExportRepresentation(serializers.Serializer[Export]):
    id = WireId(Export.PREFIX)
    format = serializers.CharField(read_only=True)
    state = serializers.ChoiceField(choices=Export.State.values, read_only=True)
    threads = serializers.IntegerField(read_only=True, allow_null=True)
    size = serializers.IntegerField(read_only=True, allow_null=True, help_text="bytes")
    sha256 = serializers.SerializerMethodField()
    error_code = serializers.SerializerMethodField()
    url = serializers.SerializerMethodField(help_text="Where to download it, with the same credentials.")
    requested_by = serializers.CharField(read_only=True)
    created_at = moment()
    finished_at = moment(allow_null=True)
    expires_at = moment()

    def get_sha256(self, export: Export) -> str | None:
        return export.sha256 or None

    def get_error_code(self, export: Export) -> str | None:
        return export.error_code or None

    def get_url(self, export: Export) -> str | None:
        return f"/exports/{export.wire_id}/download" if export.state == Export.State.DONE else None


class Exports(RestViewSet):
    """Many threads as one zip file, made by a worker and kept for two days."""

    permissions = {"GET": Permission.EXPORT_WRITE, "POST": Permission.EXPORT_WRITE}
    pagination_class = KeysetPagination

    def get_queryset(self) -> QuerySet[Export]:
        return exports.visible(actor=self.actor, now=self.now)

    @extend_schema(responses={200: ExportRepresentation(many=True)})
    def list(self, request: Request) -> Response:
        return self.page(self.get_queryset(), ExportRepresentation)

    @extend_schema(request=NewExport, responses={202: ExportRepresentation})
    def create(self, request: Request) -> Response:
        export = exports.ask(actor=self.actor, now=self.now, **NewExport.parse(request))
        headers = {"Location": f"/exports/{export.wire_id}"}
        return Response(ExportRepresentation(export).data, status=202, headers=headers)

    @extend_schema(responses={200: ExportRepresentation})
    def retrieve(self, request: Request, export_id: str) -> Response:
        return Response(ExportRepresentation(self._find(export_id)).data)

    @extend_schema(responses={(200, "application/zip"): OpenApiTypes.BINARY})
    def download(self, request: Request, export_id: str) -> StreamingHttpResponse:
        export = self._find(export_id)
        if export.state != Export.State.DONE:
            raise exports.ExportUnfinished
        audit.record(actor=self.actor, action="export.download", ids=[export.wire_id])
        name = f'attachment; filename="{export.wire_id}.zip"'
        return FileStream(
            default_storage.open(export.file), content_type="application/zip", headers={"Content-Disposition": name}
        )

    def _find(self, export_id: str) -> Export:
        found = path_id(Export.PREFIX, export_id, exports.ExportNotFound)
        return exports.get(actor=self.actor, export_id=found, now=self.now)


class ThreadExport(InThread):
    """One thread as one file."""

    permissions = {"GET": Permission.THREAD_READ}
    query = {"retrieve": ("format",)}

    @extend_schema(parameters=[FORMAT], responses={(200, "*/*"): OpenApiTypes.BINARY})
    def retrieve(self, request: Request, **path: Any) -> StreamingHttpResponse:
        """Written to the disk first: what is damaged is told before a byte is sent."""
        format = request.query_params.get("format", "jsonl")
        if format not in TYPES:
            raise Invalid.at("query", "format", msg=f"This must be one of {', '.join(TYPES)}.", type="enum")
        thread = self.find_thread()
        out = tempfile.TemporaryFile()  # noqa: SIM115  the response closes it
        for part in container.one(thread, format):
            out.write(part)
        out.seek(0)
        audit.record(actor=self.actor, action="thread.export", ids=[thread.wire_id], details={"format": format})
        content_type, suffix = TYPES[format]
        headers = {"Content-Disposition": f'attachment; filename="{thread.wire_id}.{suffix}"'}
        return FileStream(out, content_type=content_type, headers=headers)
