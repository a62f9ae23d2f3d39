"""A number for each row of a workspace, which changes with the row."""

import functools
from uuid import UUID

from django.db import connection

# Written by whoever asks, about themselves: when they were last seen, and what they may not do again.
ABOUT_THE_CALLER = {"django_session"}
# Sums over other rows, which are here themselves: a member who makes a thread of their own moves the workspace's count.
SUMS = {"threads_threadcount"}


@functools.cache
def _query() -> str:
    """One SELECT over all tables: the rows of the workspace where they have one, itself, and its members."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT pg_class.oid::regclass::text, EXISTS (
                     SELECT FROM pg_attribute WHERE attrelid = pg_class.oid AND attname = 'workspace_id')
              FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
             WHERE relkind = 'r' AND nspname = current_schema() AND NOT relispartition
             ORDER BY 1
            """
        )
        tables = [(table, own) for table, own in cursor.fetchall() if table not in ABOUT_THE_CALLER | SUMS]
    parts = []
    for table, of_workspace in tables:
        if of_workspace:
            where = "WHERE t.workspace_id = %(workspace)s"
        elif table == "workspaces_workspace":
            where = "WHERE t.id = %(workspace)s"
        elif table == "workspaces_user":
            where = "WHERE t.id IN (SELECT user_id FROM workspaces_membership WHERE workspace_id = %(workspace)s)"
        else:
            continue
        parts.append(f"SELECT '{table}', hashtextextended(t::text, 0) FROM {table} AS t {where}")
    return " UNION ALL ".join(parts)


def fingerprint(workspace_id: UUID) -> frozenset[tuple[str, int]]:
    """(table, hash) of each row. Equal: nothing changed; a superset: nothing of what was there did."""
    with connection.cursor() as cursor:
        cursor.execute(_query(), {"workspace": workspace_id})
        return frozenset(cursor.fetchall())
