"""The front page's charts."""

import re
from datetime import UTC, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from tests.conftest import Tenant
from tests.console.conftest import signed_in
from tests.console.threads import make
from tests.lifecycle.conftest import old_thread, policy
from threadhub.agents import usage
from threadhub.agents.events import Usage
from threadhub.agents.models import DailyUsage
from threadhub.agents.prices import PriceTable
from threadhub.console import statistics
from threadhub.lib.queues import QUEUES
from threadhub.workspaces.models import User
from threads.lifecycle import forecast, trash
from threads.models import Bundle, DailyActivity, StorageSize, Thread


def day(ago: int = 0) -> Any:
    return timezone.now().astimezone(UTC).date() - timedelta(days=ago)


def of(workspaces: list[UUID] | None) -> statistics.Readable:
    return statistics.Readable(workspaces, workspaces, workspaces)


def happened(tenant: Tenant, ago: int, **numbers: Any) -> None:
    DailyActivity.objects.create(workspace=tenant.workspace, agent=tenant.agent, day=day(ago), **numbers)


@pytest.fixture
def month(tenant: Tenant) -> None:
    happened(tenant, 0, threads=7, messages=1_234, answers=90, failures=10, times={"20": 50, "30": 40},
             faults={"openai/provider_timeout": 10})  # fmt: skip
    happened(tenant, 29, threads=2)
    happened(tenant, 30, threads=999_999)  # too long ago
    DailyUsage.objects.create(
        workspace=tenant.workspace, agent=tenant.agent, day=day(), provider="openai", purpose="answer", cost=Decimal(2)
    )


@pytest.mark.usefixtures("month")
def test_it_tells_thirty_days(console: Client) -> None:
    html = console.get("/admin/").content.decode()
    assert "999,999" not in html
    for told in (
        f"{day():%b} {day().day}: 7 threads",
        "1,234 messages",
        "90 answers, 10 failed",
        "in 30 days, and 10 failed (10.0%)",
        "1 agent<",
        "openai: provider_timeout",
        "half within 4.3 s, 95 % within 40 s",
        "worker",
    ):
        assert told in html, told


@pytest.mark.usefixtures("month")
def test_staff_see_their_own_workspaces_only(olivia: User, other_tenant: Tenant) -> None:
    happened(other_tenant, 0, threads=55_555, answers=1, times={"1": 1}, faults={"openai/strange": 1})
    html = signed_in(olivia).get("/admin/").content.decode()
    assert "7 threads" in html
    assert "55,5" not in html
    assert "strange" not in html
    assert "Queue:" not in html  # is of the whole installation


def test_it_says_so_where_there_is_nothing(console: Client, tenant: Tenant) -> None:
    html = console.get("/admin/").content.decode()
    assert html.count("Nothing in the last 30 days, as counted every five minutes.") == 6
    assert "No answer failed, as counted every five minutes." in html


def bars_of_states(client: Client) -> list[str]:
    """`Active 3`, longest bar first."""
    html = client.get("/admin/").content.decode()
    panel = html.partition("<h2>Threads by state</h2>")[2].partition("</section>")[0]
    return [" ".join(re.sub(r"<[^>]+>", " ", row).split()) for row in re.findall(r"<tr>.*?</tr>", panel, re.S)]


def test_threads_by_state_are_counted_exactly_where_counters_know_them(
    console: Client, olivia: User, tenant: Tenant, other_tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    for whose, count in ((tenant, 5), (other_tenant, 2)):
        for _ in range(count):
            make(whose, "A thread")
    moved = list(Thread.objects.filter(workspace=tenant.workspace).values_list("pk", flat=True)[:2])
    Thread.objects.filter(pk__in=moved).update(state="archived", archived_at=timezone.now())
    trash.put(workspace_id=other_tenant.workspace.pk, thread_ids=_of(other_tenant), now=timezone.now(), days=1)
    monkeypatch.setattr(statistics, "COUNTED", 1)
    assert bars_of_states(console) == ["Active 3", "Archived 2", "Trashed, or more 1"]
    assert bars_of_states(signed_in(olivia)) == ["Active 3", "Archived 2", "Trashed 0"]
    monkeypatch.setattr(statistics, "SUMMED", 0)
    assert bars_of_states(console) == ["Active, or more 1", "Archived, or more 1", "Trashed, or more 1"]


def _of(tenant: Tenant) -> list[Any]:
    return list(Thread.objects.filter(workspace=tenant.workspace).values_list("pk", flat=True))


def test_it_reads_days_and_no_messages(console: Client, tenant: Tenant) -> None:
    for ago in range(30):
        happened(tenant, ago, threads=1, messages=1, answers=1, times={"5": 1}, faults={"echo/x": 1})
    console.get("/admin/")
    with CaptureQueriesContext(connection) as queries:
        console.get("/admin/")
    assert len(queries) <= 20
    assert not [each["sql"] for each in queries if "threads_message" in each["sql"]]


def test_storage_is_told_by_state(console: Client, tenant: Tenant) -> None:
    for state, messages, files in (("active", 2_500_000, 1_200_000), ("trashed", 3_000, 0)):
        StorageSize.objects.create(
            workspace=tenant.workspace, state=state, messages=messages, files=files, made_at=timezone.now()
        )
    kept = {
        "workspace": tenant.workspace,
        "path": "p",
        "sha256": "",
        "manifest_sha256": "",
        "thread_count": 1,
        "message_count": 1,
    }
    for number, removed in ((1, None), (2, timezone.now())):
        Bundle.objects.create(number=number, name=str(number) * 64, size=400_000, removed_at=removed, **kept)
    told = statistics.read(of=of([tenant.workspace.pk]), now=timezone.now(), with_queue=False)
    assert [(each.label, each.told) for each in told.storage] == [
        ("Active: messages", "2.5 MB"),
        ("Active: files", "1.2 MB"),
        ("Archived: bundles", "400.0 kB"),
        ("In the trash: messages", "3.0 kB"),
    ]
    html = console.get("/admin/").content.decode()
    assert "What live threads take was measured" in html
    assert "2.5 MB" in html


def test_the_queue_is_told_by_what_waits_is_in_hand_and_failed(console: Client) -> None:
    with connection.cursor() as cursor:
        for queue, status in (("runs", "todo"), ("runs", "todo"), ("upkeep", "doing"), ("upkeep", "failed")):
            cursor.execute(
                "INSERT INTO procrastinate_jobs (queue_name, task_name, status) VALUES (%s, 'some.task', %s)",
                [queue, status],
            )
        for _ in QUEUES:
            cursor.execute("INSERT INTO procrastinate_workers (last_heartbeat) VALUES (now())")
    queue = statistics.read(of=of(None), now=timezone.now(), with_queue=True).queue
    assert queue is not None
    assert queue.workers == 1
    assert [(each.label, each.told, each.percent, each.alarming) for each in queue.jobs] == [
        ("Answers: waiting", "2", 100, False),
        ("Answers: in hand", "0", 0, False),
        ("Answers: failed", "0", 0, False),
        ("Titles and summaries: waiting", "0", 0, False),
        ("Titles and summaries: in hand", "0", 0, False),
        ("Titles and summaries: failed", "0", 0, False),
        ("Upkeep: waiting", "0", 0, False),
        ("Upkeep: in hand", "1", 50, False),
        ("Upkeep: failed", "1", 50, True),
    ]
    html = console.get("/admin/").content.decode()
    assert html.count("th-alarming") == 1


def panel(client: Client, title: str) -> tuple[str, list[str]]:
    """What a chart says in all, and what its columns that are not empty say; they are drawn as high as they say."""
    html = client.get("/admin/").content.decode()
    drawn = html.partition(f"<h2>{title}</h2>")[2].partition("</section>")[0]
    columns = re.findall(r'<title>([^<]*)</title>.*?height="100"></rect><rect [^>]*height="([\d.]+)"', drawn)
    figure = re.search(r'th-chart-figure">(.*?)</p>', drawn, re.S)
    shown = [words for words, height in columns if float(height)]
    return " ".join(re.sub(r"<[^>]+>", "", figure[1]).split()) if figure else "", shown


def test_cost_is_that_of_the_calls_that_were_kept(console: Client, tenant: Tenant, settings: Any) -> None:
    settings.PRICES = PriceTable.parse('{"currency": "EUR", "prices": {"echo/*": {"input": 1000, "output": 10000}}}')
    now = timezone.now()
    for ago, calls in ((0, 2), (3, 1), (40, 5)):
        for _ in range(calls):
            amount = usage.measured(Usage(input_tokens=100, output_tokens=25), provider="echo", model="")
            moment = now - timedelta(days=ago)
            usage.record(agent=tenant.agent, purpose=DailyUsage.Purpose.ANSWER, amount=amount, now=moment)
    told, columns = panel(console, "Cost")
    assert told == "1.05 EUR in 30 days, of what has a price"
    assert columns == [f"{day(3):%b} {day(3).day}: 0.35 EUR", f"{day():%b} {day().day}: 0.7 EUR"]


def test_what_retention_will_take_is_what_policies_say(
    console: Client, olivia: User, tenant: Tenant, other_tenant: Tenant
) -> None:
    policy(tenant, "archive", 90)
    policy(other_tenant, "purge", 90)
    for whose, ages in ((tenant, (200, 80.5, 80.5, 10)), (other_tenant, (70.5,))):
        for age in ages:
            old_thread(whose, age)
        forecast.make(workspace_id=whose.workspace.pk, now=timezone.now())
    told, columns = panel(console, "Due for retention")
    assert told == "4 threads in 30 days, 1 of them for ever"
    assert [each.partition(": ")[2] for each in columns] == [
        "1 thread, 0 of them for ever", "2 threads, 0 of them for ever", "1 thread, 1 of them for ever",
    ]  # fmt: skip
    assert columns[0].startswith(f"{day():%b} {day().day}:"), "what is due already is taken today"
    assert panel(signed_in(olivia), "Due for retention")[0] == "3 threads in 30 days, 0 of them for ever"
