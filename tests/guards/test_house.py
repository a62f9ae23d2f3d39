"""Rules of the house that a machine can see."""

import re
import subprocess
from pathlib import Path

import pytest
from django.apps import apps
from django.core.management import call_command
from django.db import connection

ROOT = Path(__file__).resolve().parents[2]
NAMES_THAT_SAY_NOTHING = re.compile(r"(^|/)(utils?|helpers?|common|misc)(\.py|/)")
OURS = {"audit", "limits", "workspaces", "agents", "chat_sessions", "threads", "api", "console"}
TOP_LEVEL = {
    ".ci",
    ".env.example",
    ".gitignore",
    "CHANGELOG.md",
    "LICENSE",
    "README.md",
    "chat_sessions",
    "manage.py",
    "pyproject.toml",
    "requirements.txt",
    "tests",
    "threadhub",
    "threads",
}
OF_UNFOLD = "threadhub/templates/unfold/"  # templates in place of unfold's bear unfold's names


def tracked() -> list[str]:
    listing = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True)
    return listing.stdout.splitlines()


def test_the_top_level_stays_as_it_is() -> None:
    assert {name.split("/")[0] for name in tracked()} <= TOP_LEVEL


def test_every_module_is_named_by_its_subject() -> None:
    own = [name for name in tracked() if not name.startswith(OF_UNFOLD)]
    assert [name for name in own if NAMES_THAT_SAY_NOTHING.search(name)] == []


@pytest.mark.django_db
def test_no_migration_is_missing() -> None:
    call_command("makemigrations", check=True, dry_run=True, verbosity=0)


@pytest.mark.django_db
def test_every_table_with_a_workspace_has_it_in_its_keys() -> None:
    """A unique constraint without the workspace could tell one tenant of another, and keeps the table on one node."""
    # Looked up before the workspace is known.
    of_secrets = {"workspaces_apikey", "workspaces_refreshtoken", "workspaces_membership", "workspaces_invitation"}
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT index.indrelid::regclass::text, index.indexrelid::regclass::text
              FROM pg_index AS index
              JOIN pg_attribute AS workspace
                ON workspace.attrelid = index.indrelid AND workspace.attname = 'workspace_id'
             WHERE index.indisunique AND NOT workspace.attnum = ANY (index.indkey)
               AND index.indrelid::regclass::text NOT LIKE 'pg_%'
            """
        )
        rows = cursor.fetchall()
    columns = {"chat_sessions_chatsession": "refresh_digest", "agents_agent": "public_key"}
    assert {table for table, _ in rows} - of_secrets - set(columns) == set()
    assert all(columns[table] in index for table, index in rows if table in columns)


def test_every_model_is_ordered_and_ends_on_something_unique() -> None:
    for model in apps.get_models():
        if model._meta.app_label in OURS:
            assert model._meta.ordering, model
