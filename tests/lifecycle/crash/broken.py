"""Copies of the code with the steps in a wrong order. The crash tests must report each as a loss; what they cannot see
broken, they do not hold. Called inside a forked process only."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from django.db import connection


def deleted_before_the_bundle_is_written() -> None:
    """The messages go, and are committed to be gone, before their bundle stands in the archive."""
    from threads.lifecycle.bundles import archive

    store, counted = archive.store, archive.Removal.end

    def delete_then_store(*, workspace_id: UUID, sources: Sequence[Any], **more: Any) -> Any:
        kept = [archive.Source(each.thread_id, each.created_at, iter(list(each.lines))) for each in sources]
        with connection.cursor() as cursor:
            cursor.execute(
                "DELETE FROM threads_message WHERE thread_id = ANY(%s)", [[each.thread_id for each in sources]]
            )
            cursor.execute("COMMIT")
            cursor.execute("BEGIN")
        return store(workspace_id=workspace_id, sources=kept, **more)

    def end(removal: archive.Removal, *, messages: int) -> None:
        counted(removal, messages=0)

    archive.store, archive.Removal.end = delete_then_store, end


def not_synced() -> None:
    """Files are renamed into place without having been flushed to the disk."""
    from threads.lifecycle.bundles import vault

    class Os:
        def __getattr__(self, name: str) -> Any:
            import os

            return (lambda descriptor: None) if name == "fsync" else getattr(os, name)

    vault.os = Os()


def directory_not_synced() -> None:
    """Files are flushed, but their names are not."""
    from threads.lifecycle.bundles import vault

    vault.sync_directory = lambda path: None


def restored_in_two_steps() -> None:
    """A restored thread's rows are committed while the catalogue still has it: it is there twice."""
    from threads.lifecycle import restore

    insert = restore.insert

    def insert_and_commit(readers: Any, **more: Any) -> int:
        count = insert(readers, **more)
        with connection.cursor() as cursor:
            cursor.execute("COMMIT")
            cursor.execute("BEGIN")
        return count

    restore.insert = insert_and_commit


def erased_before_the_ledger_knows() -> None:
    """A person's threads go before anything outside of the database tells of it."""
    from threads.lifecycle.erasure import erasures

    written = erasures.ledger.write

    class Later:
        @staticmethod
        def write(erasure: Any) -> None:
            if erasure.state == "done":
                written(erasure)

    erasures.ledger = Later


def certified_unseen() -> None:
    """An erasure is said to be done without the traces beside threads."""
    from threads.lifecycle.erasure import erasures

    erasures._traces = lambda erasure, person: None
    erasures.inventory.Inventory.empty = property(lambda self: True)


def file_removed_before_the_commit() -> None:
    """A bundle that is rewritten loses its file before the catalogue names its successor."""
    from threads.lifecycle.bundles import rewrite

    class AtOnce:
        @staticmethod
        def on_commit(act: Any) -> None:
            act()

    rewrite.transaction = AtOnce
