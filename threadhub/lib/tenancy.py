"""Keys that hold the workspace: the migration operation behind every table with a `workspace_id`.

The primary key becomes (id, workspace_id) and every reference (x_id, workspace_id), so that no row can point into
another workspace whatever the code does, and so that the tables can be distributed by workspace. Django's models know
the single columns only (`db_constraint=False`); this operation makes the constraints.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.operations.base import Operation
from django.db.migrations.state import ProjectState


@dataclass(frozen=True, slots=True)
class Reference:
    """`column` of this table points at `table`; what happens to this row when that one goes."""

    column: str
    table: str
    on_delete: Literal["CASCADE", "RESTRICT", "SET NULL"]

    def sql(self, owner: str) -> str:
        action = f"SET NULL ({self.column})" if self.on_delete == "SET NULL" else self.on_delete
        return (
            f"ALTER TABLE {owner} ADD CONSTRAINT {owner}_{self.column}_workspace_fk"
            f" FOREIGN KEY ({self.column}, workspace_id) REFERENCES {self.table} (id, workspace_id)"
            f" ON DELETE {action} DEFERRABLE INITIALLY IMMEDIATE"
        )


class WorkspaceKeys(Operation):
    """Put the workspace into a table's primary key and references."""

    reduces_to_sql = True

    def __init__(self, table: str, references: Sequence[Reference] = (), *, primary_key: bool = True) -> None:
        self.table = table
        self.references = references
        self.primary_key = primary_key

    def state_forwards(self, app_label: str, state: ProjectState) -> None:
        """Nothing changes for the models."""

    def database_forwards(
        self, app_label: str, schema_editor: BaseDatabaseSchemaEditor, from_state: Any, to_state: Any
    ) -> None:
        if self.primary_key:
            schema_editor.execute(
                f"ALTER TABLE {self.table} DROP CONSTRAINT {self.table}_pkey,"
                f" ADD CONSTRAINT {self.table}_pkey PRIMARY KEY (id, workspace_id)"
            )
        for reference in self.references:
            schema_editor.execute(reference.sql(self.table))

    def database_backwards(
        self, app_label: str, schema_editor: BaseDatabaseSchemaEditor, from_state: Any, to_state: Any
    ) -> None:
        """Where other tables refer to this one by both columns, PostgreSQL refuses."""
        for reference in self.references:
            schema_editor.execute(
                f"ALTER TABLE {self.table} DROP CONSTRAINT {self.table}_{reference.column}_workspace_fk"
            )
        if self.primary_key:
            schema_editor.execute(
                f"ALTER TABLE {self.table} DROP CONSTRAINT {self.table}_pkey,"
                f" ADD CONSTRAINT {self.table}_pkey PRIMARY KEY (id)"
            )

    def describe(self) -> str:
        return f"Workspace in the keys of {self.table}"
