"""Files that come inside a body, as `data:` URLs."""

from typing import Any

from threadhub.api.rest.inputs.strict import Strict, Text
from threadhub.lib.errors import Invalid
from threads import attachments
from threads.attachments import MAX_PER_MESSAGE, Upload

FILENAME_CHARACTERS = 1_000


class Document(Strict):
    url = Text(help_text="A data: URL that holds the file itself.")
    filename = Text(required=False, allow_null=True, allow_blank=True, max_length=FILENAME_CHARACTERS)


def documents() -> Document:
    """The field of a body that takes documents."""
    return Document(many=True, required=False, allow_null=True, max_length=MAX_PER_MESSAGE)  # type: ignore[call-arg]


def uploads(rows: list[dict[str, Any]] | None) -> list[Upload]:
    """The files of a validated `documents`. Raises AttachmentRefused, with its place, and AttachmentTooLarge."""
    files = []
    for index, row in enumerate(rows or []):
        try:
            files.append(attachments.from_data_url(url=row["url"], filename=row.get("filename")))
        except Invalid as error:
            error.errors = [{"loc": ["body", "documents", index, "url"], "msg": error.message, "type": error.code}]
            raise
    return files
