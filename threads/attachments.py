"""Files of messages: checked, kept through Django's storage API, gone with their message."""

import base64
import binascii
import hashlib
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.parse import unquote_to_bytes
from uuid import UUID

from django.conf import settings
from django.core.files.base import ContentFile, File
from django.core.files.storage import default_storage
from django.db import transaction

from threadhub.lib.errors import Invalid, TooLarge
from threads.models import Attachment, BundledThread, Message, Thread

MAX_PER_MESSAGE = 10
DATA_URL = re.compile(
    r"data:(?P<type>[\w.+-]+/[\w.+-]+)?(?P<parameters>(?:;[\w.+-]+=[^;,]*)*)(?P<base64>;base64)?,", re.ASCII
)
SIGNATURES: dict[str, tuple[bytes, ...]] = {
    "image/png": (b"\x89PNG\r\n\x1a\n",),
    "image/jpeg": (b"\xff\xd8\xff",),
    "image/gif": (b"GIF87a", b"GIF89a"),
    "image/webp": (b"RIFF",),
    "application/pdf": (b"%PDF-",),
}


class AttachmentTooLarge(TooLarge):
    """The document is larger than allowed."""

    code = "attachment_too_large"


class AttachmentRefused(Invalid):
    """The document cannot be accepted."""

    code = "attachment_refused"


@dataclass(frozen=True, slots=True)
class Upload:
    """A file that came with a message and passed the checks."""

    filename: str
    content_type: str
    data: bytes

    @property
    def is_image(self) -> bool:
        return self.content_type.startswith("image/")


def from_data_url(*, url: str, filename: str | None) -> Upload:
    """The file in a `data:` URL. Other URLs are refused: threadhub does not fetch what a client points at.

    Raises AttachmentRefused (no data URL, a type that is not allowed, content of another type than it says) and
    AttachmentTooLarge.
    """
    match = DATA_URL.match(url)
    if match is None:
        raise AttachmentRefused("A document's url must be a data: URL that holds the file itself.")
    content_type = (match["type"] or "text/plain").lower()
    if content_type not in settings.ATTACHMENT_TYPES:
        raise AttachmentRefused(f"Documents of type {content_type} are not accepted.")
    data = _decode(url[match.end() :], is_base64=bool(match["base64"]))
    if len(data) > settings.ATTACHMENT_MAX_BYTES:
        raise AttachmentTooLarge(f"A document may have at most {settings.ATTACHMENT_MAX_BYTES} bytes.")
    signatures = SIGNATURES.get(content_type)
    if signatures and not data.startswith(signatures):
        raise AttachmentRefused(f"The document is not what it says it is: {content_type}.")
    return Upload(_safe_name(filename, content_type), content_type, data)


def store(*, message: Message, uploads: Sequence[Upload]) -> list[Attachment]:
    """Keep the files of a message. Should one fail, none is left over; what a transaction leaves that fails later, or a
    process that is killed, is for `stray_files`."""
    with _all_or_none() as names:
        kept = [_kept(message, upload, names) for upload in uploads]
        Attachment.objects.bulk_create(kept)
    return kept


def copy(*, attachments: Iterable[Attachment], messages: dict[UUID, Message]) -> None:
    """Keep files of messages once more, for the messages that `messages` gives for their ids. Each copy is a file of
    its own, so that neither thread's end can take the other's. Should one fail, none is left over, as in `store`."""
    with _all_or_none() as names:
        kept = [_twin(attachment, messages[attachment.message_id], names) for attachment in attachments]
        Attachment.objects.bulk_create(kept)


@contextmanager
def _all_or_none() -> Iterator[list[str]]:
    """The names of files written within: where it fails, they are removed."""
    names: list[str] = []
    try:
        yield names
    except BaseException:
        for name in names:
            default_storage.delete(name)
        raise


def _kept(message: Message, upload: Upload, names: list[str]) -> Attachment:
    attachment = Attachment(
        workspace_id=message.workspace_id,
        thread_id=message.thread_id,
        message_id=message.id,
        filename=upload.filename,
        content_type=upload.content_type,
        size=len(upload.data),
        sha256=hashlib.sha256(upload.data).digest(),
        created_at=message.created_at,
    )
    attachment.file.name = _write(attachment, ContentFile(upload.data), names)
    return attachment


def _twin(attachment: Attachment, message: Message, names: list[str]) -> Attachment:
    twin = Attachment(
        workspace_id=message.workspace_id,
        thread_id=message.thread_id,
        message_id=message.id,
        filename=attachment.filename,
        content_type=attachment.content_type,
        size=attachment.size,
        sha256=attachment.sha256,
        created_at=attachment.created_at,
    )
    with attachment.file.open("rb") as file:
        twin.file.name = _write(twin, file, names)
    return twin


def _write(attachment: Attachment, content: "File[bytes]", names: list[str]) -> str:
    path = f"{attachment.workspace_id}/{attachment.thread_id}/{attachment.id}"  # `stray_files` goes by these
    names.append(default_storage.save(path, content))
    return names[-1]


def remove_files_of(*, thread: Thread, message: Message | None = None) -> None:
    """Remove the stored files of a thread, or of one message, once the deletion of their rows is committed."""
    rows = Attachment.objects.filter(thread_id=thread.id, workspace_id=thread.workspace_id)
    if message is not None:
        rows = rows.filter(message_id=message.id)
    for name in rows.values_list("file", flat=True):
        transaction.on_commit(lambda name=name: default_storage.delete(name))  # type: ignore[misc]


def _decode(payload: str, *, is_base64: bool) -> bytes:
    if not is_base64:
        return unquote_to_bytes(payload)
    try:
        return base64.b64decode(unquote_to_bytes(payload), validate=True)
    except binascii.Error as error:
        raise AttachmentRefused("The document's base64 is broken.") from error


def _safe_name(filename: str | None, content_type: str) -> str:
    """The client's name without folders and control characters; one made from the type where there is none."""
    name = re.sub(r"[\x00-\x1f\x7f]", "", (filename or "").replace("\\", "/").rsplit("/", 1)[-1]).strip()[:200]
    return name if name.strip(".") else f"document.{content_type.rsplit('/', 1)[-1]}"


def remove_unreferenced(*, workspace_id: UUID, names: Sequence[str]) -> None:
    """Remove stored files, once this is committed, that no row and no thread in a bundle refers to any more."""
    if names:
        wanted = list(dict.fromkeys(names))
        transaction.on_commit(lambda: _remove_unreferenced(workspace_id, wanted))


def _remove_unreferenced(workspace_id: UUID, names: Sequence[str]) -> None:
    live = set(Attachment.objects.filter(workspace_id=workspace_id, file__in=names).values_list("file", flat=True))
    for name in names:
        if name in live or BundledThread.objects.filter(workspace_id=workspace_id, files__contains=[name]).exists():
            continue
        default_storage.delete(name)
