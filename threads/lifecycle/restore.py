"""Bringing an archived thread back: verified first, with its original ids, positions and times, in one transaction.

An identical row that is there already is left alone; a differing one aborts all of it and is named. The bundle's file
stays until nothing in the catalogue refers to it.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import groupby
from typing import Any

from django.db import connection, models, transaction
from psycopg import sql
from psycopg.types.json import Jsonb

from threadhub import audit
from threadhub.lib.errors import Conflict
from threadhub.workspaces.actor import Actor
from threadhub.workspaces.permissions import Permission
from threads import access, tool_uses
from threads.lifecycle.bundles import records, rewrite
from threads.lifecycle.bundles.reader import ThreadReader
from threads.models import BundledThread, Thread
from threads.path import PathField

GRACE = timedelta(days=7)  # so long no policy takes a restored thread again
# A tool that was removed since is no longer pointed at, as with live rows.
TOOL_GONE = """
UPDATE {staged} AS staged SET tool_id = NULL
 WHERE NOT EXISTS (SELECT FROM agents_tool AS tool
                    WHERE tool.id = staged.tool_id AND tool.workspace_id = staged.workspace_id)
"""
MODELS: dict[str, type[models.Model]] = {kind: model for kind, model, _ in records.PARTS}


class NotArchived(Conflict):
    """This thread is not archived."""

    code = "not_archived"


class RestoreConflict(Conflict):
    """A row with the same id and another content is there already; nothing was restored."""

    code = "restore_conflict"


@transaction.atomic
def restore(*, actor: Actor, thread: Thread, now: datetime, grace: timedelta = GRACE) -> Thread:
    """Make an archived thread active again. Raises NotArchived, RestoreConflict, Damaged, PermissionMissing."""
    actor.require(Permission.THREAD_ARCHIVE)
    locked = (
        Thread.objects.select_for_update(of=("self",))
        .select_related("agent")
        .filter(pk=thread.pk, workspace_id=thread.workspace_id)
        .first()
    )
    if locked is None:
        raise access.ThreadNotFound
    if locked.state != Thread.State.ARCHIVED or locked.bundle_id is None:
        raise NotArchived
    reader = ThreadReader.of_locked(locked)
    reader.check()
    bundle_id = reader.entry.bundle_id
    counts = insert(reader)
    BundledThread.objects.filter(thread_id=locked.pk, workspace_id=locked.workspace_id).delete()
    rewrite.retire_if_empty(workspace_id=locked.workspace_id, bundle_id=bundle_id, now=now)
    locked.state, locked.archived_at, locked.bundle_id = Thread.State.ACTIVE, None, None
    locked.exempt_until, locked.updated_at = now + grace, now
    locked.save(update_fields=["state", "archived_at", "bundle_id", "exempt_until", "updated_at"])
    audit.record(actor=actor, action="thread.unarchive", ids=[locked.wire_id], details={"messages": counts})
    return locked


def insert(reader: ThreadReader) -> int:
    """Stage each kind of line beside its table, compare, insert. Returns how many messages."""
    messages = 0
    lines = (records.parse(line) for line in reader.checked_lines())
    for kind, group in groupby(lines, key=lambda record: record["type"]):
        if kind == "thread":
            _check_thread(next(group), reader)
            continue
        count = stage(kind, MODELS[kind], group, reader)
        messages += count if kind == "message" else 0
    tool_uses.note_all(thread_id=reader.entry.thread_id, workspace_id=reader.entry.workspace_id)
    return messages


def _check_thread(record: dict[str, Any], reader: ThreadReader) -> None:
    there = records.values(record, Thread)
    if (there["id"], there["workspace_id"]) != (reader.entry.thread_id, reader.entry.workspace_id):
        raise RestoreConflict("The bundle's thread is another one, or of another workspace; nothing was restored.")


def stage(kind: str, model: type[models.Model], group: Iterator[dict[str, Any]], reader: ThreadReader) -> int:
    table = model._meta.db_table
    names = [str(field.column) for field in model._meta.concrete_fields]
    fields = {field.column: field for field in model._meta.concrete_fields}
    staged = sql.Identifier(f"restored_{kind}")
    with connection.cursor() as cursor:
        cursor.execute(
            sql.SQL("CREATE TEMP TABLE {} (LIKE {} INCLUDING DEFAULTS) ON COMMIT DROP").format(
                staged, sql.Identifier(table)
            )
        )
        columns = sql.SQL(", ").join([sql.Identifier(name) for name in names])
        with cursor.copy(sql.SQL("COPY {} ({}) FROM STDIN").format(staged, columns)) as copy:
            count = 0
            for record in group:
                row = records.values(record, model)
                _check_owner(row, reader)
                copy.write_row([_value(fields[name], row) for name in names])
                count += 1
        if kind == "approval":
            cursor.execute(TOOL_GONE.format(staged="restored_approval"))
        _compare(cursor, kind, table, staged)
        cursor.execute(
            sql.SQL("INSERT INTO {table} ({columns}) SELECT {columns} FROM {staged} ON CONFLICT DO NOTHING").format(
                table=sql.Identifier(table), columns=columns, staged=staged
            )
        )
        _assert_there(cursor, kind, table, staged, count)
        cursor.execute(sql.SQL("DROP TABLE {}").format(staged))
    return count


def _check_owner(row: dict[str, Any], reader: ThreadReader) -> None:
    if (row["thread_id"], row["workspace_id"]) != (reader.entry.thread_id, reader.entry.workspace_id):
        raise RestoreConflict("The bundle holds rows of another thread or workspace; nothing was restored.")


def _value(field: Any, row: dict[str, Any]) -> Any:
    """A column's value for COPY; of a column that the bundle's version did not know, the default."""
    value = row[field.attname] if field.attname in row else field.get_default()
    if isinstance(field, PathField) and value is not None:
        return str(value)
    if isinstance(field, models.JSONField) and value is not None:
        return Jsonb(value)
    return value


def _compare(cursor: Any, kind: str, table: str, staged: sql.Identifier) -> None:
    """Raise RestoreConflict for the first row that is there with another content."""
    cursor.execute(
        sql.SQL(
            "SELECT staged.id FROM {staged} AS staged JOIN {table} AS there USING (id, workspace_id)"
            " WHERE to_jsonb(staged) IS DISTINCT FROM to_jsonb(there) LIMIT 1"
        ).format(staged=staged, table=sql.Identifier(table))
    )
    row = cursor.fetchone()
    if row is not None:
        raise RestoreConflict(f"The {kind} {row[0]} is there already with another content; nothing was restored.")


def _assert_there(cursor: Any, kind: str, table: str, staged: sql.Identifier, count: int) -> None:
    cursor.execute(
        sql.SQL("SELECT count(DISTINCT id) FROM {staged} JOIN {table} USING (id, workspace_id)").format(
            staged=staged, table=sql.Identifier(table)
        )
    )
    if cursor.fetchone()[0] != count:
        raise RestoreConflict(f"Another {kind} has the place of one in the bundle; nothing was restored.")
