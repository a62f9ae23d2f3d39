"""The newest messages that say words: all of them where that is quick, else back to a time that is told."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from django.db import connection

from tests.conftest import Tenant, make_tenant
from threadhub.isolation import scope
from threadhub.lib import ids
from threads import saying
from threads.actions.messages import Draft, store
from threads.models import Message, Thread

COUNT, RARELY = 3_000, 100  # messages, one an hour; one in so many says a rare word
FILL = """
INSERT INTO threads_message (id, workspace_id, thread_id, position, role, kind, content, extra, partial, created_at)
SELECT (lpad(to_hex((extract(epoch FROM at) * 1000)::bigint), 12, '0') || '7' || substr(md5(n::text), 1, 3)
        || '8' || substr(md5(n::text), 4, 15))::uuid,
       %(workspace)s, %(thread)s, n, 'user', 'text',
       'everyday ' || CASE WHEN n %% %(rarely)s = 0 THEN 'lighthouse ' ELSE '' END
       || CASE WHEN n <= 50 THEN 'bygone ' ELSE '' END || n,
       '{}', false, at
  FROM (SELECT n, %(last)s - (%(count)s - n) * %(apart)s AS at FROM generate_series(1, %(count)s) AS n) AS made
"""
# Of the newest message, from a clock that is ahead: alone in the newest span, whatever the time is.
AHEAD = timedelta(minutes=30)
NOW = datetime.now(UTC) + AHEAD


@pytest.fixture
def spoken(tenant: Tenant) -> Thread:
    return fill(tenant)


@pytest.fixture(autouse=True)
def _time_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    """For any machine, and the time of this test."""
    monkeypatch.setitem(globals(), "NOW", datetime.now(UTC) + AHEAD)
    for name in ("WHOLE", "SPANS", "LAST_SPAN", "KEYED"):
        monkeypatch.setattr(saying, name, timedelta(seconds=30))


@pytest.fixture
def only_spans(monkeypatch: pytest.MonkeyPatch) -> None:
    """As for words that too many messages hold to read all."""
    monkeypatch.setattr(saying, "_whole", lambda values: None)


@pytest.fixture
def only_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    """As for rare words of a history that is too long for its spans."""
    monkeypatch.setattr(saying, "_spans", lambda values: saying.Said(since=NOW))


def fill(tenant: Tenant, last: datetime | None = None, apart: timedelta = timedelta(hours=1)) -> Thread:
    thread = Thread.objects.create(workspace=tenant.workspace, agent=tenant.agent, last_position=COUNT)
    Thread.objects.filter(pk=thread.pk).update(created_at=NOW - timedelta(hours=COUNT))
    values = {"workspace": tenant.workspace.pk, "thread": thread.pk, "rarely": RARELY, "count": COUNT}
    values |= {"last": last or NOW, "apart": apart}
    with connection.cursor() as cursor:
        cursor.execute(FILL, values)
        cursor.execute("SELECT gin_clean_pending_list('message_text')")
        cursor.execute("ANALYZE threads_message")
    return thread


def said(text: str, *, among: list[UUID] | None = None, wanted: int = 100) -> tuple[list[str], datetime | None]:
    """What stands in the messages that were found, and since when messages were looked through."""
    found = saying.newest(text=text, among=among, wanted=wanted, now=NOW)
    contents = dict(Message.objects.filter(pk__in=[pk for _, pk in found.messages]).values_list("pk", "content"))
    return [contents[pk].rpartition(" ")[2] for _, pk in found.messages], found.since


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("everyday", range(3000, 2900, -1)),
        ("lighthouse", range(3000, 0, -100)),
        ("bygone", range(50, 0, -1)),
        ("everyday lighthouse", range(3000, 0, -100)),
        ("bygone -everyday", range(0)),
        ('"lighthouse 700"', [700]),
        ("nowhere", []),
    ],
)
@pytest.mark.parametrize("way", ["only_spans", "only_whole"])
def test_it_finds_the_newest_first_either_way(
    text: str, numbers: Any, way: str, spoken: Thread, request: pytest.FixtureRequest
) -> None:
    request.getfixturevalue(way)
    assert said(text) == ([str(number) for number in numbers], None)


def test_it_tells_how_far_back_it_looked_when_its_time_is_over(
    spoken: Thread, only_spans: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(saying, "SPANS", timedelta(0))
    numbers, since = said("everyday")
    assert numbers == ["3000"]
    assert since is not None
    assert datetime.now(UTC) - timedelta(minutes=18) < since <= datetime.now(UTC)
    assert said("lighthouse everyday", wanted=1) == (["3000"], None)


def test_it_reads_all_where_the_newest_do_not_say_it(spoken: Thread, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(saying, "SPANS", timedelta(0))
    assert said("bygone", wanted=2) == (["50", "49"], None)


def test_a_word_of_which_many_were_found_is_not_looked_for_everywhere(
    spoken: Thread, monkeypatch: pytest.MonkeyPatch
) -> None:
    everywhere: list[str] = []

    def whole(values: dict[str, Any]) -> None:
        everywhere.append(values["text"])

    monkeypatch.setattr(saying, "SPANS", timedelta(0))
    monkeypatch.setattr(saying, "_whole", whole)
    assert said("everyday")[1] is not None
    assert everywhere == ["everyday"]
    monkeypatch.setattr(saying, "DENSE", 1)
    numbers, since = said("everyday")
    assert (numbers, since is None) == (["3000"], False)
    assert everywhere == ["everyday"]


def test_it_brings_the_newest_few_where_a_span_alone_has_too_many(
    spoken: Thread, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(saying, "NEWEST", slow(saying.NEWEST))
    monkeypatch.setattr(saying, "SPANS", timedelta(milliseconds=10))
    monkeypatch.setattr(saying, "LAST_SPAN", timedelta(milliseconds=10))
    monkeypatch.setattr(saying, "DENSE", 3)
    for among in (None, [spoken.workspace_id], [spoken.workspace_id, ids.new()]):
        assert said('"everyday lighthouse"', among=among) == (["3000", "2900", "2800"], NOW - timedelta(hours=200))


def test_how_common_a_word_is_is_known_before_all_that_hold_it_are_read(spoken: Thread) -> None:
    """By the statistics of words (migration 0030), which the planner has no other source of."""
    thought = [expected(spoken, word) for word in ("everyday", "lighthouse", "nowhere")]
    for number, said in zip(thought, (COUNT, COUNT // RARELY, 1), strict=True):
        assert said / 2 <= number <= said * 2, thought


def expected(thread: Thread, word: str) -> int:
    """How many messages PostgreSQL thinks hold a word, of those that hold it at all."""
    values = {"text": word, "among": [thread.workspace_id], "wanted": COUNT}
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN (FORMAT JSON) {saying._all(values)}", values)
        plan = cursor.fetchone()[0][0]["Plan"]
    while plan["Node Type"] in ("Limit", "Sort"):
        (plan,) = plan["Plans"]
    return int(plan["Plan Rows"])


def test_where_the_index_may_not_be_asked_all_are_read(spoken: Thread, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(saying, "_has_index", lambda: False)
    monkeypatch.setattr(saying, "NEWEST", slow(saying.NEWEST))
    for name in ("WHOLE", "SPANS", "LAST_SPAN"):
        monkeypatch.setattr(saying, name, timedelta(milliseconds=1))
    assert said("bygone", wanted=2) == (["50", "49"], None)


def test_it_comes_back_with_nothing_rather_than_late(spoken: Thread, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("FEW", "NEWEST"):
        monkeypatch.setattr(saying, name, slow(getattr(saying, name)))
    for name in ("WHOLE", "SPANS", "LAST_SPAN", "KEYED"):
        monkeypatch.setattr(saying, name, timedelta(milliseconds=20))
    assert said("lighthouse") == ([], NOW)
    assert Message.objects.exists()  # the connection goes on


def slow(statement: str) -> str:
    return f"SELECT found.* FROM ({statement}) AS found, pg_sleep(30)"


def test_it_finds_ids_that_no_clock_made(tenant: Tenant, only_spans: None) -> None:
    thread = Thread.objects.create(workspace=tenant.workspace, agent=tenant.agent, last_position=2)
    for position, pk in enumerate(("ffffffff-ffff-4fff-bfff-ffffffffffff", "00000000-0000-4000-8000-000000000000"), 1):
        Message.objects.create(
            pk=UUID(pk),
            workspace=tenant.workspace,
            thread=thread,
            position=position,
            role="user",
            content=f"odd {position}",
        )
    for among in (None, [tenant.workspace.pk], [tenant.workspace.pk, ids.new()]):
        assert said("odd", among=among) == (["1", "2"], None)


@pytest.mark.parametrize("lately", [0, 1], ids=["nothing lately", "one just now"])
def test_where_nobody_wrote_for_a_day_no_more_is_read_than_of_some_hours(
    lately: int, tenant: Tenant, only_spans: None
) -> None:
    """A long span ends within the quiet time; all messages are in it but that one."""
    length = timedelta(milliseconds=1 << 28)
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    span_end = epoch + (datetime.now(UTC) - epoch) // length * length
    thread = fill(tenant, last=span_end - timedelta(hours=20), apart=timedelta(minutes=1))
    for _ in range(lately):
        store(thread=thread, drafts=[Draft(role="user", content="everyday 3001")])
    newest = range(3000 + lately, 2900 + lately, -1)
    assert said("everyday", among=[tenant.workspace.pk])[0] == [str(number) for number in newest]
    assert fetched("everyday", [tenant.workspace.pk]) <= 600


class TestWorkspaces:
    @pytest.fixture(autouse=True)
    def _both(self, spoken: Thread) -> None:
        self.other = make_tenant("other")
        self.others = fill(self.other)

    def found(self, among: list[UUID] | None) -> set[UUID]:
        return {thread for thread, _ in saying.newest(text="lighthouse", among=among, wanted=100, now=NOW).messages}

    @pytest.mark.parametrize("way", ["only_spans", "only_whole"])
    def test_only_those_that_were_asked_for(
        self, way: str, tenant: Tenant, spoken: Thread, request: pytest.FixtureRequest
    ) -> None:
        request.getfixturevalue(way)
        own, other = tenant.workspace.pk, self.other.workspace.pk
        assert self.found([own]) == {spoken.pk}
        assert self.found([own, other]) == self.found(None) == {spoken.pk, self.others.pk}
        assert self.found([]) == self.found([ids.new()]) == set()
        one_by_one = [own, other, *(ids.new() for _ in range(saying.APART - 2))]
        assert self.found(one_by_one) == self.found([*one_by_one, ids.new()]) == {spoken.pk, self.others.pk}
        with scope.within(own):
            assert self.found(None) == self.found([own]) == {spoken.pk}
            assert self.found([other]) == set()

    @pytest.mark.parametrize("way", ["only_spans", "only_whole"])
    def test_newest_first_of_all_of_them(self, way: str, tenant: Tenant, request: pytest.FixtureRequest) -> None:
        request.getfixturevalue(way)
        found = saying.newest(
            text="lighthouse", among=[tenant.workspace.pk, self.other.workspace.pk], wanted=50, now=NOW
        ).messages
        assert len(found) == 50
        assert found == sorted(found, key=lambda hit: hit[1], reverse=True)
        assert len({thread for thread, _ in found[:4]}) == 2

    def test_how_far_back_all_of_them_were_looked_through(
        self, tenant: Tenant, only_spans: None, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        both = [tenant.workspace.pk, self.other.workspace.pk]
        assert said("lighthouse", among=both)[1] is None
        monkeypatch.setattr(saying, "SPANS", timedelta(0))
        numbers, since = said("lighthouse", among=both)
        assert numbers == ["3000", "3000"]
        assert since is not None
        assert said("lighthouse", among=both, wanted=1) == (["3000"], None)

    def test_what_was_cut_off_is_not_told_as_looked_through(self, tenant: Tenant, only_spans: None) -> None:
        """Of one all was looked through, of the other what is younger than ten hours; three of both are wanted."""
        asked = saying.NEWEST.replace(
            "said.since", f"CASE own.number WHEN 2 THEN '{NOW - timedelta(hours=250)}'::timestamptz END"
        )
        both = [tenant.workspace.pk, self.other.workspace.pk]
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(saying, "NEWEST", asked)
            assert said("lighthouse", among=both, wanted=3) == (["3000", "3000", "2900"], None)
            assert said("lighthouse", among=both, wanted=9)[1] == NOW - timedelta(hours=250)

    @pytest.mark.parametrize("way", ["only_spans", "only_whole"])
    def test_what_others_say_often_is_not_read(
        self, way: str, tenant: Tenant, spoken: Thread, request: pytest.FixtureRequest
    ) -> None:
        """Of two workspaces that hardly say a word, where a third one says it all the time."""
        request.getfixturevalue(way)
        quiet = [make_tenant(name).workspace.pk for name in ("quiet", "still")]
        assert fetched("lighthouse", quiet) <= 10

    def test_what_others_said_before_it_was_there_is_not_gone_through(self, tenant: Tenant) -> None:
        """Of a young workspace; the index is asked for ids that are older than all its threads too."""
        young = make_tenant("young")
        Thread.objects.create(workspace=young.workspace, agent=young.agent)
        assert pages("lighthouse", [young.workspace.pk]) <= 25


def pages(text: str, among: list[UUID]) -> int:
    """How many pages of tables and indexes a search by spans looks at."""
    values = {"text": text, "among": among, "apart": [None], "wanted": 100, "spending": timedelta(seconds=30)}
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {saying.NEWEST}", values)
        cursor.execute(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {saying.NEWEST}", values)
        plan = cursor.fetchone()[0][0]["Plan"]
    return int(plan["Shared Hit Blocks"] + plan["Shared Read Blocks"])


def fetched(text: str, among: list[UUID]) -> int:
    """How many rows of messages a search takes out of the table."""
    asked = "SELECT coalesce(sum(pg_stat_get_xact_tuples_fetched(oid)), 0) FROM pg_class WHERE relname = %s"
    with connection.cursor() as cursor:
        cursor.execute(asked, ["threads_message"])
        before = cursor.fetchone()[0]
        saying.newest(text=text, among=among, wanted=20, now=NOW)
        cursor.execute(asked, ["threads_message"])
        return int(cursor.fetchone()[0] - before)


@pytest.mark.parametrize("text", ["everyday", "lighthouse", "bygone"])
def test_spans_read_little_more_than_they_bring_behind_the_wall_too(
    text: str, tenant: Tenant, spoken: Thread, only_spans: None
) -> None:
    with scope.within(tenant.workspace.pk):
        assert fetched(text, [tenant.workspace.pk]) <= 100
