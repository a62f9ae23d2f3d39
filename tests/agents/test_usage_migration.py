"""Usage without an agent comes to hubs that are at work: nobody waits while its index is built."""

import importlib
from collections.abc import Iterator
from datetime import date
from typing import Any

import pytest
from django.db import connection
from django.db.migrations.loader import MigrationLoader
from django.db.utils import IntegrityError

from tests.conftest import Tenant
from threadhub.agents import sql
from threadhub.agents.models import DailyUsage

NAME = "0013_trials_of_unsaved"
TOLD = """
SELECT pg_get_constraintdef(oid), conindid::regclass::text, (SELECT attnotnull FROM pg_attribute WHERE attrelid = conrelid AND attname = 'agent_id')
  FROM pg_constraint WHERE conname = 'daily_usage_once'
"""  # noqa: E501
LEFT = """
SELECT conname FROM pg_constraint WHERE conrelid = 'agents_dailyusage'::regclass AND contype <> 'n'
 UNION ALL SELECT indexrelid::regclass::text FROM pg_index WHERE indrelid = 'agents_dailyusage'::regclass
 ORDER BY 1
"""


def migration() -> Any:
    return importlib.import_module(f"threadhub.agents.migrations.{NAME}").Migration(NAME, "agents")


def before() -> Any:
    return MigrationLoader(connection).project_state(("agents", "0012_trials"))


def run(back: bool = False) -> None:
    one, state = migration(), before()
    with connection.schema_editor(atomic=one.atomic) as editor:
        (one.unapply if back else one.apply)(state, editor)


def asked(query: str) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(query)
        return cursor.fetchall()


def use(tenant: Tenant, **changes: Any) -> None:
    amounts = dict.fromkeys(DailyUsage.AMOUNTS, 1)
    told = {"agent_id": None, "day": date(2026, 1, 2), "provider": "echo", "model": "", "purpose": "trial"} | changes
    sql.add_usage(workspace_id=tenant.workspace.pk, count=1, amounts=amounts, **told)


@pytest.fixture
def forward(transactional_db: None) -> Iterator[None]:
    """Puts the table back as it was, however the test ended."""
    yield
    if asked(TOLD) and not asked(TOLD)[0][2]:
        return
    run()


@pytest.mark.django_db
def test_whatever_builds_an_index_builds_it_beside_the_work() -> None:
    one, state = migration(), before()
    with connection.schema_editor(collect_sql=True, atomic=one.atomic) as editor:
        one.apply(state, editor, collect_sql=True)
        forwards = " ".join(editor.collected_sql)
    with connection.schema_editor(collect_sql=True, atomic=one.atomic) as editor:
        one.unapply(before(), editor, collect_sql=True)
        backwards = " ".join(editor.collected_sql)
    for told in (forwards, backwards):
        assert "CREATE UNIQUE INDEX CONCURRENTLY" in told
        assert "USING INDEX" in told
        assert told.count("UNIQUE") == 2, told


def test_it_goes_back_and_comes_again_as_it_was(forward: None, tenant: Tenant) -> None:
    now, names = asked(TOLD), asked(LEFT)
    use(tenant)
    use(tenant, agent_id=tenant.agent.pk, purpose="answer")
    run(back=True)
    assert list(DailyUsage.objects.values_list("agent_id", flat=True)) == [tenant.agent.pk]  # older code knows no other
    with pytest.raises(IntegrityError):
        use(tenant)
    assert asked(LEFT) == names
    assert asked(TOLD) != now
    run()
    assert (asked(TOLD), asked(LEFT)) == (now, names)
    use(tenant)
    use(tenant)
    assert DailyUsage.objects.get(agent=None).count == 2


def test_what_was_interrupted_begins_again(forward: None) -> None:
    now, names = asked(TOLD), asked(LEFT)
    with connection.cursor() as cursor:
        cursor.execute("CREATE UNIQUE INDEX daily_usage_once_next ON agents_dailyusage (id)")
    run()
    assert (asked(TOLD), asked(LEFT)) == (now, names)
