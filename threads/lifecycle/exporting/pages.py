"""A thread for people: as a page of HTML that needs nothing else, as Markdown, as rows of a table."""

import base64
import csv
import io
import json
import re
from collections.abc import Callable, Iterator
from html import escape
from typing import Any

from threadhub.lib.json import timestamp
from threads.lifecycle.exporting import content
from threads.models import Attachment, Message, Thread

CSP = "default-src 'none'; style-src 'unsafe-inline'; img-src 'self' data:; base-uri 'none'; form-action 'none'"
STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:50rem;margin:2rem auto;padding:0 1rem;color:#111}"
    "article{border-top:1px solid #ccc;padding:.5rem 0;break-inside:avoid}"
    "header{color:#555;font-size:.85rem}.text{white-space:pre-wrap;overflow-wrap:anywhere;unicode-bidi:isolate}"
    "img{max-width:100%}pre{white-space:pre-wrap;overflow-wrap:anywhere;background:#f4f4f4;padding:.5rem}"
    "@media print{body{margin:0;max-width:none;font-size:11pt}}"
)
COLUMNS = (
    "thread_id", "thread_title", "external_ref", "position", "message_id", "role", "name", "created_at", "content",
    "tool_calls", "tool_call_id", "tool_result", "attachments",
)  # fmt: skip
FORMULA = re.compile(r"\s*[=+\-@\t\r]")
SHOWN_IMAGES = ("image/png", "image/jpeg", "image/gif", "image/webp")

Link = Callable[[Attachment], str]


def inline(attachment: Attachment) -> str:
    """The file itself, as a URL."""
    with attachment.file.open("rb") as file:
        data = base64.b64encode(file.read()).decode()
    return f"data:{attachment.content_type};base64,{data}"


def beside(attachment: Attachment) -> str:
    """Where the file stands in a folder of an export, from a page in `threads/`."""
    return f"../{content.path_of(attachment.pk)}"


def html(thread: Thread, link: Link = inline) -> Iterator[str]:
    """A page, piece by piece; nothing in it is loaded or run."""
    title = escape(thread.title or thread.wire_id)
    yield (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{CSP}">'
        f'<meta name="viewport" content="width=device-width"><title>{title}</title><style>{STYLE}</style></head>\n'
        f"<body><h1>{title}</h1>\n<dl>"
    )
    for name, value in _facts(thread):
        yield f"<dt>{name}</dt><dd>{escape(value)}</dd>"
    yield "</dl>\n"
    for message in content.messages(thread):
        who = escape(message.role + (f" · {message.name}" if message.name else ""))
        yield f'<article id="m{message.position}"><header>{message.position} · {who} · {timestamp(message.created_at)}'
        yield "</header>"
        if message.content:
            yield f'<div class="text" dir="auto">{escape(message.content)}</div>'
        for label, value in _extras(message):
            yield f"<pre>{escape(label)}: {escape(value)}</pre>"
        for each in message.attachments.all():
            yield _file(each, link)
        yield "</article>\n"
    yield "</body></html>\n"


def markdown(thread: Thread, link: Link | None = None) -> Iterator[str]:
    """Headings of ours are of the first two levels; what was said stands between fences where it could be one."""
    yield f"# {_one_line(thread.title or thread.wire_id)}\n\n"
    for name, value in _facts(thread):
        yield f"* {name}: {_one_line(value)}\n"
    for message in content.messages(thread):
        who = message.role + (f" ({_one_line(message.name)})" if message.name else "")
        yield f"\n## {message.position}. {who}, {timestamp(message.created_at)}\n\n"
        if message.content:
            yield _quoted(message.content) + "\n"
        for label, value in _extras(message):
            yield f"\n{label}:\n\n{_quoted(value)}\n"
        for each in message.attachments.all():
            where = f" <{link(each)}>" if link is not None else ""
            yield f"\n* {_one_line(each.filename)} ({each.content_type}, {each.size} bytes){where}\n"


def table(threads: Iterator[Thread]) -> Iterator[str]:
    """CSV as in RFC 4180, one row per message. A cell that a spreadsheet would take for a formula begins with an
    apostrophe."""
    yield _row(COLUMNS)
    for thread in threads:
        for message in content.messages(thread):
            yield _row(
                [
                    thread.wire_id,
                    thread.title,
                    thread.external_ref,
                    message.position,
                    message.wire_id,
                    message.role,
                    message.name,
                    timestamp(message.created_at),
                    message.content,
                    _json(message.tool_calls),
                    message.tool_call_id,
                    _json(message.tool_result),
                    " ".join(content.path_of(each.pk) for each in message.attachments.all()),
                ]
            )


def _facts(thread: Thread) -> Iterator[tuple[str, str]]:
    yield "thread", thread.wire_id
    yield "created", timestamp(thread.created_at)
    if thread.external_ref is not None:
        yield "reference", thread.external_ref
    if thread.metadata:
        yield "metadata", _json(thread.metadata) or ""


def _extras(message: Message) -> Iterator[tuple[str, str]]:
    for call in message.tool_calls or []:
        yield f"call of {call.get('name')}", json.dumps(call.get("arguments"), ensure_ascii=False)
    if message.tool_result is not None:
        yield f"result of {message.tool_call_id or 'a tool'}", _json(message.tool_result) or ""


def _file(attachment: Attachment, link: Link) -> str:
    name, url = escape(attachment.filename), escape(link(attachment))
    if attachment.content_type in SHOWN_IMAGES:
        return f'<figure><img alt="{name}" src="{url}"><figcaption>{name}</figcaption></figure>'
    return f'<p><a download="{name}" href="{url}">{name}</a> ({attachment.size} bytes)</p>'


def _quoted(text: str) -> str:
    """As it is, line by line quoted: nothing in it becomes a heading or a link of the page."""
    return "\n".join(f">     {line}" for line in text.splitlines() or [""])


def _one_line(text: str) -> str:
    return re.sub(r"([\\`*_{}\[\]<>#|])", r"\\\1", " ".join(text.split()))


def _row(cells: Any) -> str:
    out = io.StringIO()
    csv.writer(out).writerow([_guarded(cell) for cell in cells])
    return out.getvalue()


def _guarded(cell: Any) -> Any:
    return f"'{cell}" if isinstance(cell, str) and FORMULA.match(cell) else cell


def _json(value: Any) -> str | None:
    return None if value is None else json.dumps(value, ensure_ascii=False, sort_keys=True)
