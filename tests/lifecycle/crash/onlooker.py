"""Sees what is there of a workspace's threads, by its own code: SQL of its own and JSON out of zstd. It shares nothing
with the code it watches but the format of a bundle and the names of the tables."""

import hashlib
import json
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
import zstandard

TABLES = {
    "message": ("threads_message", ("id", "position", "role", "content", "extra", "tool_calls")),
    "attachment": ("threads_attachment", ("id", "file", "size", "filename")),
    "feedback": ("threads_feedback", ("id", "rating", "text")),
    "run": ("threads_run", ("id", "number", "status")),
    "summary": ("threads_summary", ("id", "text")),
}
TEXTS = """
SELECT c.table_name, c.column_name FROM information_schema.columns AS c
  JOIN information_schema.columns AS w USING (table_schema, table_name)
  JOIN information_schema.tables AS t USING (table_schema, table_name)
 WHERE c.table_schema = current_schema() AND t.table_type = 'BASE TABLE' AND w.column_name = 'workspace_id'
   AND c.data_type IN ('text', 'character varying', 'json', 'jsonb', 'bytea', 'ARRAY')
"""
Content = dict[str, list[Any]]  # kind → rows


@dataclass
class View:
    """What somebody who reads finds: in the tables, and through the catalogue in bundles."""

    states: dict[str, str] = field(default_factory=dict)
    live: dict[str, Content] = field(default_factory=dict)
    bundled: dict[str, Content] = field(default_factory=dict)
    tombstones: set[str] = field(default_factory=set)
    faults: list[str] = field(default_factory=list)

    def content(self, thread: str) -> list[Content]:
        """Each place where the thread's words are."""
        return [place[thread] for place in (self.live, self.bundled) if place.get(thread)]


class Onlooker:
    """Watches one database and one directory of bundles."""

    def __init__(self, parameters: dict[str, Any], archive: Path, attachments: Path, application: str) -> None:
        self.connection = psycopg.connect(**parameters, autocommit=True)
        self.archive = archive
        self.attachments = attachments
        self.application = application

    def wait_until_nobody_acts(self) -> None:
        """Until the database has noticed that the killed process is gone."""
        deadline = time.monotonic() + 60
        query = "SELECT count(*) FROM pg_stat_activity WHERE application_name = %s AND datname = current_database()"
        while self._rows(query, [self.application]) != [(0,)]:
            if time.monotonic() > deadline:
                raise TimeoutError("a connection of the killed process stays")
            time.sleep(0.005)

    def cut(self) -> None:
        """End the connections of the watched process, from the database's side. One that is only being made is not
        seen yet, and lives."""
        deadline = time.monotonic() + 60
        query = (
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE application_name = %s AND datname = current_database()"
        )
        while self._rows(query, [self.application]):
            if time.monotonic() > deadline:
                raise TimeoutError("a connection cannot be ended")
            time.sleep(0.005)

    def look(self, workspace: str) -> View:
        """All that is there now."""
        view = View()
        view.states = dict(
            self._rows("SELECT id::text, state FROM threads_thread WHERE workspace_id = %s", [workspace])
        )
        view.tombstones = {
            row[0]
            for row in self._rows("SELECT thread_id::text FROM threads_tombstone WHERE workspace_id = %s", [workspace])
        }
        for kind, (table, columns) in TABLES.items():
            listed = ", ".join(f"to_jsonb({name})" for name in columns)
            query = f"SELECT thread_id::text, {listed} FROM {table} WHERE workspace_id = %s"
            for thread, *row in self._rows(query, [workspace]):
                view.live.setdefault(thread, {}).setdefault(kind, []).append(row)
        catalogue = self._rows(
            "SELECT t.thread_id::text, b.path, b.sha256 FROM threads_bundledthread AS t JOIN threads_bundle AS b"
            " ON b.id = t.bundle_id WHERE t.workspace_id = %s",
            [workspace],
        )
        for path, sha256 in {(path, sha256) for _, path, sha256 in catalogue}:
            wanted = {thread for thread, where, _ in catalogue if where == path}
            self._read_bundle(self.archive / path / "threads.jsonl.zst", sha256, wanted, view)
        for place in (view.live, view.bundled):
            for content in place.values():
                for kind in content:
                    content[kind].sort(key=json.dumps)
        self._look_for_files(view)
        return view

    def ledgers(self, workspace_folder: str) -> list[dict[str, Any]]:
        """What is told, beside the archive, of people who were erased. One that cannot be read tells nothing."""
        found = []
        for path in (self.archive / "erasures" / workspace_folder).glob("*.json"):
            with suppress(ValueError):
                found.append(json.loads(path.read_bytes()))
        return found

    def mentions(self, workspace: str, folder: str, text: str) -> list[str]:
        """Where a text stands: columns of the workspace's rows, files of its bundles and attachments."""
        found = []
        for table, column in self._rows(TEXTS, []):
            query = f'SELECT count(*) FROM "{table}" WHERE workspace_id = %s AND "{column}"::text LIKE ANY(%s)'
            patterns = [f"%{text}%", f"%{text.encode().hex()}%"]
            if self._rows(query, [workspace, patterns]) != [(0,)]:
                found.append(f"{table}.{column}")
        for path in [*self.files_of(folder), *(self.archive / "erasures" / folder).glob("*")]:
            data = path.read_bytes()
            if path.name.endswith(".zst"):
                data = zstandard.ZstdDecompressor().stream_reader(data, read_across_frames=True).read()
            if text.encode() in data:
                found.append(str(path))
        return found

    def unfinished(self, workspace: str) -> int:
        """Erasures that were confirmed and are not done."""
        query = "SELECT count(*) FROM threads_erasure WHERE workspace_id = %s AND state IN ('running', 'blocked')"
        return int(self._rows(query, [workspace])[0][0])

    def certified(self, workspace: str) -> int:
        """Erasures that are done and signed."""
        query = "SELECT count(*) FROM threads_erasure WHERE workspace_id = %s AND state = 'done' AND signature <> ''"
        return int(self._rows(query, [workspace])[0][0])

    def files_of(self, workspace_folder: str) -> Iterator[Path]:
        """Every file of the workspace's bundles, and what writers left behind."""
        yield from (path for path in (self.archive / workspace_folder).rglob("*") if path.is_file())
        yield from self.archive.glob(".partial-*")

    def catalogued(self, workspace: str) -> set[Path]:
        """The files that the catalogue still needs."""
        rows = self._rows("SELECT path FROM threads_bundle WHERE workspace_id = %s AND removed_at IS NULL", [workspace])
        return {self.archive / path / name for (path,) in rows for name in ("manifest.json", "threads.jsonl.zst")}

    @staticmethod
    def lines(path: Path) -> Iterator[dict[str, Any]]:
        """The records of a bundle's file."""
        with path.open("rb") as file:
            text = zstandard.ZstdDecompressor().stream_reader(file, read_across_frames=True).read()
        return (json.loads(line) for line in text.split(b"\n") if line)

    def _read_bundle(self, path: Path, sha256: str, wanted: set[str], view: View) -> None:
        try:
            if hashlib.sha256(path.read_bytes()).hexdigest() != sha256:
                view.faults.append(f"{path.parent.name[:8]} is not the file of the catalogue")
                return
            records = list(self.lines(path))
        except (OSError, zstandard.ZstdError, ValueError) as error:
            view.faults.append(f"the catalogue's bundle {path.parent.name[:8]} cannot be read: {error}")
            return
        for record in records:
            thread = record["thread_id"] if record["type"] != "thread" else record["id"]
            if record["type"] in TABLES and thread in wanted:
                row = [record[name] for name in TABLES[record["type"]][1]]
                view.bundled.setdefault(thread, {}).setdefault(record["type"], []).append(row)

    def _look_for_files(self, view: View) -> None:
        for place in (view.live, view.bundled):
            for thread, content in place.items():
                for row in content.get("attachment", []):
                    if not (self.attachments / row[1]).is_file():
                        view.faults.append(f"the file of an attachment of {thread} is gone")

    def _rows(self, query: str, values: list[Any]) -> list[tuple[Any, ...]]:
        return self.connection.execute(query.encode(), values).fetchall()
