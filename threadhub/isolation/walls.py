"""The wall in PostgreSQL: row-level security on every table that has a workspace.

`build` is run by `manage.py migrate` after the migrations, and changes only what is not so yet: a table that a later
migration adds has its wall by the end of the same command.

Two roles that cannot log in and own nothing: the application's sees rows of the workspaces in the setting
`threadhub.scope`; the door's sees all. The login role of DATABASE_URL, which owns the tables, becomes one or the other
for every statement that is not a migration's. The owner itself is held by the wall too (FORCE), unless it says that it
is migrating.
"""

from collections.abc import Iterator

from django.db.backends.utils import CursorWrapper
from django.db.utils import InternalError, ProgrammingError

from threadhub.lib.errors import Failed

APP_ROLE = "threadhub_app"
DOOR_ROLE = "threadhub_door"
ROLES = (APP_ROLE, DOOR_ROLE)
POLICIES = ("workspace_of_scope", "every_workspace", "owner_migrating")
MIGRATING = "migration"  # what an owner that is no superuser calls the door of its own
WORKSPACES = "workspaces_workspace"  # the one table whose own id is the workspace

# PostgreSQL uses an index for a condition on rows behind a wall only where the condition's functions cannot tell of the
# rows they refuse (LEAKPROOF). Those of full-text search, of titles, of metadata and of an id's text tell nothing, as
# they are asked here, but are not marked.
# Without the mark lists answer the same, by a scan of the workspace, and searches for words as far as their time goes.
# Marking takes a superuser.
LEAKPROOF = (
    "jsonb_contains(jsonb, jsonb)",
    "jsonb_set(jsonb, text[], jsonb, boolean)",
    "textlike(text, text)",
    "upper(text)",
    "left(text, integer)",
    "to_tsvector(regconfig, text)",
    "ts_match_vq(tsvector, tsquery)",
    "uuid_out(uuid)",
    "textin(cstring)",
)

FUNCTION = """
CREATE OR REPLACE FUNCTION threadhub_scope() RETURNS uuid[] LANGUAGE sql STABLE PARALLEL SAFE
RETURN string_to_array(nullif(current_setting('threadhub.scope', true), ''), ',')::uuid[]
"""

# Tables with a column workspace_id, and whether they have their wall.
TABLES = """
SELECT relation.relname,
       relation.relrowsecurity AND relation.relforcerowsecurity AND
       (SELECT count(*) FROM pg_policy AS policy
         WHERE policy.polrelid = relation.oid AND policy.polname = ANY (%s)) = %s
  FROM pg_class AS relation
  JOIN pg_namespace AS schema ON schema.oid = relation.relnamespace AND schema.nspname = 'public'
 WHERE relation.relkind IN ('r', 'p')
   AND (relation.relname = %s OR EXISTS (
        SELECT FROM pg_attribute AS attribute
         WHERE attribute.attrelid = relation.oid AND attribute.attname = 'workspace_id' AND NOT attribute.attisdropped))
 ORDER BY relation.relname
"""


# Roles belong to the server, not to one database. The login role becomes a member, so that it can take the role on.
ROLE = """
DO $$ BEGIN
    BEGIN
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '{role}') THEN
            CREATE ROLE {role} NOLOGIN NOSUPERUSER NOBYPASSRLS;
        END IF;
    EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL;
    END;
    IF NOT pg_has_role(current_user, '{role}', 'MEMBER') THEN
        GRANT {role} TO CURRENT_USER;
    END IF;
END $$
"""
TRIES = 5


class RolesMissing(Failed):
    """The database's login role may not create the roles threadhub_app and threadhub_door. Let an administrator run:
    CREATE ROLE threadhub_app; CREATE ROLE threadhub_door; GRANT threadhub_app, threadhub_door TO the login role."""

    code = "roles_missing"


def build(cursor: CursorWrapper) -> None:
    """Roles, leave, policies and marks, as far as they are missing. As the owner of the tables. Raises RolesMissing."""
    _roles(cursor)
    cursor.execute(FUNCTION)
    for table, walled in tables(cursor):
        if not walled:
            _wall(cursor, table)
    _mark(cursor)


def tables(cursor: CursorWrapper) -> list[tuple[str, bool]]:
    """Every table with a workspace, and whether it has its wall."""
    cursor.execute(TABLES, [list(POLICIES), len(POLICIES), WORKSPACES])
    return list(cursor.fetchall())


def unmarked(cursor: CursorWrapper) -> list[str]:
    """The functions of LEAKPROOF that are not marked in this database."""
    cursor.execute(
        "SELECT name FROM unnest(%s::text[]) AS name WHERE NOT (SELECT proleakproof FROM pg_proc"
        " WHERE oid = ('pg_catalog.' || name)::regprocedure)",
        [list(LEAKPROOF)],
    )
    return [name for (name,) in cursor.fetchall()]


def marks(functions: list[str]) -> Iterator[str]:
    """The statements that mark functions, for a superuser."""
    for function in functions:
        yield f"ALTER FUNCTION pg_catalog.{function} LEAKPROOF"


def _roles(cursor: CursorWrapper) -> None:
    for role in ROLES:
        for tried in range(1, TRIES + 1):
            try:
                cursor.execute(ROLE.format(role=role))
                break
            except InternalError:  # another installation on this server grants the same role at this very moment
                if tried == TRIES:
                    raise
            except ProgrammingError as error:
                raise RolesMissing from error
        cursor.execute(
            f"GRANT USAGE ON SCHEMA public TO {role};"
            f" GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {role};"
            f" GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA public TO {role}"
        )


def _wall(cursor: CursorWrapper, table: str) -> None:
    column = "id" if table == WORKSPACES else "workspace_id"
    # The sub-select is answered once a query, so that a row costs one comparison of ids.
    visible = f"{column} = ANY ((SELECT threadhub_scope())::uuid[])"
    cursor.execute(
        f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;"
        + "".join(f" DROP POLICY IF EXISTS {policy} ON {table};" for policy in POLICIES)
        + f" CREATE POLICY workspace_of_scope ON {table} TO {APP_ROLE} USING ({visible});"
        f" CREATE POLICY every_workspace ON {table} TO {DOOR_ROLE} USING (true);"
        f" CREATE POLICY owner_migrating ON {table} TO CURRENT_USER"
        f" USING ((SELECT current_setting('threadhub.door', true)) = '{MIGRATING}')"
    )


def _mark(cursor: CursorWrapper) -> None:
    cursor.execute("SELECT rolsuper FROM pg_roles WHERE rolname = current_user")
    (superuser,) = cursor.fetchone()
    if superuser:
        for statement in marks(unmarked(cursor)):
            cursor.execute(statement)
