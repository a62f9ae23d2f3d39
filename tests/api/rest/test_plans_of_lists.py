"""No list of threads scans or sorts the table, whichever documented filter and order it is asked with: PostgreSQL's
plans for what the requests ask, over rows and statistics that make the point."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.db import connection

from tests.conftest import Api, Tenant
from threadhub.lib import ids
from threads.querysets import sorted_pages

# A workspace with as many threads as all others together; a user, a reference and a pair of metadata are few of them.
ROWS = """
INSERT INTO threads_thread (id, workspace_id, agent_id, user_id, external_ref, title, metadata, state, origin,
                            message_count, last_position, created_at, updated_at, archived_at)
SELECT gen_random_uuid(), %(workspace)s, %(agent)s, CASE WHEN n %% 500 = 0 THEN %(user)s::uuid END, 'ref ' || n %% 900,
       'number ' || n, jsonb_build_object('n', n %% 900),
       CASE WHEN n %% 97 = 0 THEN 'archived' ELSE 'active' END, 'direct', 0, 0, now() - n * interval '1 minute',
       now() - n * interval '30 seconds', CASE WHEN n %% 97 = 0 THEN now() END
  FROM generate_series(1, 15000) AS n
"""
NARROWINGS = (
    "",
    "state=archived",
    "agentId={agent}",
    "userId={user}",
    "externalRef=ref 7",
    'metadata={{"n":7}}',
    "metadata={{}}",
    'metadata={{"n":[]}}',
    'metadata={{"n":7}}&agentId={agent}&state=active',
    "userId={user}&externalRef=ref 500",
    "date_from=2020-01-01&date_to=2020-02-01",
    "title=number 77",
)
PAGES = ("take=20", "take=20&order=asc", "take=20&skip=150")
SCANNED = "Seq Scan on threads_thread "  # and not its counters, which are few rows
FEW = 500  # rows may be sorted, of so small a table: those that a narrow index gave
SORTED = re.compile(r"(?<!Incremental )Sort  \(cost=\S+ rows=(\d+)")
DEEP = ("skip=7000&take=20", "skip=9900&take=20", "skip=9000&take=20&order=asc")


@pytest.fixture
def named(tenant: Tenant, other_tenant: Tenant) -> dict[str, str]:
    with connection.cursor() as cursor:
        for each in (tenant, other_tenant):
            values = {"workspace": each.workspace.pk, "agent": each.agent.pk, "user": each.owner.pk}
            cursor.execute(ROWS, values)
        cursor.execute("ANALYZE threads_thread")
    return {"agent": tenant.agent.wire_id, "user": ids.encode("user", tenant.owner.pk)}


@contextmanager
def plans() -> Iterator[list[tuple[str, str]]]:
    """Of each statement that reads threads: its text, and how PostgreSQL goes about it."""
    seen: list[tuple[str, str]] = []

    def explained(execute: Any, sql: str, params: Any, many: bool, context: dict[str, Any]) -> Any:
        if "threads_thread" in sql and sql.split(None, 1)[0] in ("SELECT", "WITH"):
            with connection.connection.cursor() as cursor:
                cursor.execute(f"EXPLAIN {sql}", params)
                seen.append((sql, "\n".join(row[0] for row in cursor.fetchall())))
        return execute(sql, params, many, context)

    with connection.execute_wrapper(explained):
        yield seen


@pytest.mark.parametrize("path", ["/threads", "/agents/{agent}/threads"])
def test_no_list_of_threads_scans_the_table(api: Api, named: dict[str, str], path: str) -> None:
    asked = [f"{narrowing}&{page}" for narrowing in NARROWINGS for page in PAGES] + list(DEEP)
    for query in asked:
        address = f"{path}?{query}".format(**named)
        with plans() as seen:
            for _ in range(2):  # the second time whether it is still the same
                assert api.get(address + ("&include_messages=false" if path == "/threads" else "")).status_code == 200
        assert seen
        for sql, plan in seen:
            assert SCANNED not in plan, (address, sql, plan)
            assert all(int(rows) <= FEW for rows in SORTED.findall(plan)), (address, sql, plan)


def test_a_deep_page_reads_no_rows_before_its_own(api: Api, named: dict[str, str]) -> None:
    with plans() as seen:
        assert len(api.get("/threads?include_messages=false&take=20&skip=9900").json()["data"]) == 20
    assert any("Index Only Scan Backward using thread_newest_first" in plan for _, plan in seen), seen


@pytest.mark.parametrize("sort", ["-updated", "updated"])
@pytest.mark.parametrize("page", [100, 400], ids=["from the beginning", "from the end"])
def test_a_deep_page_by_updated_reads_no_rows_before_its_ten_minutes(
    api: Api, named: dict[str, str], sort: str, page: int
) -> None:
    with plans() as seen:
        assert len(api.get(f"/api/ai/threads?sort={sort}&limit=20&page={page}").json()) == 20
    way = "Backward " if (sort == "updated") == (page == 100) else ""
    assert any(f"Index Only Scan {way}using thread_updated_about" in plan for _, plan in seen), seen
    assert not any("OFFSET 1980" in sql or SCANNED in plan for sql, plan in seen), seen


@pytest.mark.parametrize(
    "sort",
    [
        "",
        "-updated",
        "updated",
        "-created",
        "created",
        "-_id",
        "_id",
        "title",
        "-title",
        "user",
        "-user",
        "integration",
        "-integration",
        "workspace",
    ],
)
def test_no_list_of_the_other_dialect_sorts_the_table(
    api: Api, named: dict[str, str], sort: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sorted_pages, "FEW", FEW)
    for narrowing in ("", "integration={agent}", "user={user}"):
        for page in ("", "page=3"):
            address = f"/api/ai/threads?sort={sort}&{narrowing}&{page}".format(**named)
            with plans() as seen:
                assert api.get(address).status_code == 200
            assert seen
            for sql, plan in seen:
                assert SCANNED not in plan, (address, sql, plan)
                assert all(int(rows) <= FEW for rows in SORTED.findall(plan)), (address, sql, plan)
