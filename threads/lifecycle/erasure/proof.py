"""The end of an erasure: looked for again everywhere, and certified."""

import json
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import zstandard
from django.db import connection
from psycopg import sql

from threadhub.lib import ids, keyed
from threadhub.workspaces.models import Workspace
from threads.lifecycle.bundles import vault
from threads.lifecycle.bundles.manifest import THREADS
from threads.models import Bundle, Erasure

FORMAT = "threadhub-erasure/1"
PURPOSE = "erasure certificate"
SEARCHED_FROM = 4  # characters: a shorter text stands everywhere and proves nothing
READ_BYTES = 2**20
# Every column that can hold a text, of every table with a workspace.
COLUMNS = """
SELECT c.table_name, array_agg(c.column_name::text ORDER BY c.ordinal_position)
  FROM information_schema.columns AS c
  JOIN information_schema.tables AS t USING (table_schema, table_name)
 WHERE c.table_schema = current_schema() AND t.table_type = 'BASE TABLE'
   AND c.data_type IN ('text', 'character varying', 'json', 'jsonb', 'ARRAY', 'bytea')
   AND EXISTS (SELECT FROM information_schema.columns AS w
                WHERE w.table_schema = c.table_schema AND w.table_name = c.table_name
                  AND w.column_name = 'workspace_id')
 GROUP BY c.table_name ORDER BY c.table_name
"""


def mentions(*, workspace_id: UUID, texts: Sequence[str]) -> dict[str, int]:
    """How often what names the person stands elsewhere in the workspace, `table.column` → rows: in what others wrote.
    Reads all of it, the bundles too."""
    wanted = [text for text in texts if len(text) >= SEARCHED_FROM]
    found: dict[str, int] = {}
    if not wanted:
        return found
    with connection.cursor() as cursor:
        cursor.execute(COLUMNS)
        tables = cursor.fetchall()
        for table, columns in tables:
            found |= _in_table(cursor, workspace_id, table, columns, wanted)
    bundles = Bundle.objects.filter(workspace_id=workspace_id, removed_at__isnull=True).order_by("number")
    hit = sum(_in_bundle(path, wanted) for path in bundles.values_list("path", flat=True))
    return found | ({"archive": hit} if hit else {})


def certify(erasure: Erasure, *, account: str, elsewhere: dict[str, int], texts: Sequence[str], now: datetime) -> None:
    """Make the certificate of an erasure that is through, and sign it."""
    assert erasure.confirmed_at is not None  # noqa: S101  it is running
    progress = {name: count for name, count in erasure.progress.items() if name != "threads"}
    erasure.certificate = {
        "format": FORMAT,
        "erasure": erasure.wire_id,
        "workspace": ids.encode(Workspace.PREFIX, erasure.workspace_id),
        "subject": {"kind": erasure.subject, "digests": erasure.digests},
        "requested_by": erasure.requested_by,
        "confirmed_by": erasure.confirmed_by,
        "planned_at": erasure.created_at.isoformat(),
        "confirmed_at": erasure.confirmed_at.isoformat(),
        "verified_at": now.isoformat(),
        "erased": progress,
        "account": account,
        "verified": {
            "left": 0,
            "texts_searched": sum(len(text) >= SEARCHED_FROM for text in texts),
            "texts_too_short": sum(len(text) < SEARCHED_FROM for text in texts),
            "mentioned_by_others": elsewhere,
        },
    }
    erasure.signature = signature(erasure.certificate)


def signature(certificate: dict[str, Any]) -> str:
    """HMAC-SHA-256 under a key of this installation, over the certificate as JSON with sorted keys."""
    return keyed.digest(PURPOSE, json.dumps(certificate, sort_keys=True)).hex()


def is_genuine(erasure: Erasure) -> bool:
    """Whether a certificate is as it was signed, under this SECRET_KEY or one of SECRET_KEY_FALLBACKS."""
    if erasure.certificate is None:
        return False
    return keyed.is_of(erasure.signature, PURPOSE, json.dumps(erasure.certificate, sort_keys=True))


def _in_table(cursor: Any, workspace_id: UUID, table: str, columns: list[str], texts: list[str]) -> dict[str, int]:
    """One pass over a table's rows of the workspace. JSON spells some characters its own way, so both are looked for;
    bytes are looked through as UTF-8."""
    spelled = sorted({each for text in texts for each in (text, json.dumps(text, ensure_ascii=False)[1:-1])})
    packed = [text.encode().hex() for text in texts]
    counts = sql.SQL(", ").join(
        sql.SQL(
            "count(*) FILTER (WHERE {column}::text LIKE ANY(%(texts)s) OR {column}::text LIKE ANY(%(packed)s))"
        ).format(column=sql.Identifier(column))
        for column in columns
    )
    statement = sql.SQL("SELECT {counts} FROM {table} WHERE workspace_id = %(workspace)s").format(
        counts=counts, table=sql.Identifier(table)
    )
    parameters = {
        "workspace": workspace_id,
        "texts": [f"%{_escaped(each)}%" for each in spelled],
        "packed": [f"%{each}%" for each in packed],
    }
    cursor.execute(statement, parameters)
    return {f"{table}.{column}": count for column, count in zip(columns, cursor.fetchone(), strict=True) if count}


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")


def _in_bundle(path: str, texts: list[str]) -> bool:
    wanted = [each.encode() for text in texts for each in {text, json.dumps(text, ensure_ascii=False)[1:-1]}]
    overlap = max(len(each) for each in wanted)
    return any(each in part for part in _parts(path, overlap) for each in wanted)


def _parts(path: str, overlap: int) -> Iterator[bytes]:
    before = b""
    with vault.read(f"{path}/{THREADS}") as file:
        reader = zstandard.ZstdDecompressor().stream_reader(file, read_across_frames=True)
        while part := reader.read(READ_BYTES):
            yield before + part
            before = part[-overlap:]
