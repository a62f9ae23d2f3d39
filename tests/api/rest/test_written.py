"""Threads of lists are written out once for each state of them, and are what they would be written out as now."""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID
from weakref import ref

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.conftest import Api, Tenant
from threadhub.api.rest.representations import from_rows, written
from threadhub.lib import json, remembered
from threads import whole_rows
from threads.actions import threads as actions
from threads.actions.messages import Draft, append
from threads.attachments import Upload
from threads.lifecycle import holds
from threads.lifecycle.holds import Cover
from threads.lifecycle.in_force import InForce
from threads.lifecycle.resolver import Rule
from threads.models import RetentionPolicy, Thread
from threads.thread_rows import Page, ThreadRow

NOW = datetime.fromisoformat("2026-03-01T12:00:00+00:00")
DAY = timedelta(days=1)
ROW = ThreadRow(
    id=UUID(int=1),
    workspace_id=UUID(int=2),
    agent_id=UUID(int=3),
    user_id=None,
    chat_session_id=None,
    external_ref=None,
    title="A title",
    metadata_text='{"k": 1}',
    state="active",
    origin="direct",
    branch=1,
    message_count=0,
    created_at=NOW,
    updated_at=NOW,
    last_activity_at=None,
    pinned=False,
    exempt_until=None,
    archived_at=None,
    trashed_at=None,
    purge_after=None,
    taken_over_at=None,
)


@pytest.fixture(autouse=True)
def nothing_known() -> None:
    remembered.forget()


@pytest.fixture
def written_out(monkeypatch: pytest.MonkeyPatch) -> list[UUID]:
    """The threads that were written out, in their order."""
    ids: list[UUID] = []
    write = from_rows.thread

    def noted(thread: Any, outlook: Any) -> Any:
        ids.append(thread.pk)
        return write(thread, outlook)

    monkeypatch.setattr(from_rows, "thread", noted)
    return ids


def listed(api: Api) -> list[dict[str, Any]]:
    shown: list[dict[str, Any]] = api.get("/threads?include_messages=false").json()["data"]
    return shown


def make(tenant: Tenant, **fields: Any) -> Thread:
    return actions.create(actor=tenant.actor, agent_id=tenant.agent.pk, now=NOW, **fields)


def under(*rules: Rule, cover: Cover | None = None) -> InForce:
    return InForce(rules, True, cover or Cover([]), any(rule.metadata is not None for rule in rules))


def page(row: ThreadRow, in_force: InForce | None, now: datetime) -> bytes:
    return json.dumps(written.page(Page([row], 1, in_force), now=now)[0])


def test_only_what_has_changed_is_written_out_again(tenant: Tenant, api: Api, written_out: list[UUID]) -> None:
    threads = [make(tenant, title=str(at)) for at in range(3)]
    first = listed(api)
    assert len(written_out) == 3
    assert listed(api) == first
    assert len(written_out) == 3
    written_out.clear()
    Thread.objects.filter(pk=threads[1].pk).update(title="another")
    assert {each["title"] for each in listed(api)} == {"0", "another", "2"}
    assert written_out == [threads[1].pk]


def test_what_policies_and_holds_change_is_told_at_once(tenant: Tenant, api: Api, written_out: list[UUID]) -> None:
    make(tenant)
    (before,) = listed(api)
    assert (before["expires_at"], before["held"]) == (None, False)
    RetentionPolicy.objects.create(
        workspace=tenant.workspace, action="purge", counted_from="created", days=3, enabled=True, acts_from=NOW
    )
    (due,) = listed(api)
    assert due["expires_at"] == "2026-03-04T12:00:00.000Z"
    holds.place(actor=tenant.actor, scope="workspace", reason="asked", now=NOW)
    (held,) = listed(api)
    assert (held["expires_at"], held["held"]) == (None, True)
    assert len(written_out) == 3


RULES = st.lists(
    st.builds(
        Rule,
        id=st.integers(1, 9).map(lambda number: UUID(int=number)),
        level=st.sampled_from(["thread", "agent", "workspace", "system"]),
        action=st.sampled_from(["retain", "archive", "trash", "purge"]),
        counted_from=st.sampled_from(["created", "last_activity", "archived", "trashed"]),
        days=st.integers(1, 12),
        target_id=st.sampled_from([UUID(int=1), UUID(int=3), UUID(int=7)]),
        metadata=st.sampled_from([None, {"k": 1}, {"k": 2}]),
        acts_from=st.none() | st.integers(0, 12).map(lambda day: NOW + day * DAY),
    ),
    max_size=4,
)
MOMENTS = st.none() | st.integers(0, 12).map(lambda day: NOW + day * DAY)


@given(
    rules=RULES,
    exempt_until=MOMENTS,
    archived_at=MOMENTS,
    pinned=st.booleans(),
    asked=st.lists(st.integers(-1, 25), min_size=2, max_size=6),
)
def test_at_any_moment_it_is_what_would_be_written_then(
    rules: list[Rule], exempt_until: Any, archived_at: Any, pinned: bool, asked: list[int]
) -> None:
    state = "archived" if archived_at else "active"
    row = ROW._replace(exempt_until=exempt_until, archived_at=archived_at, state=state, pinned=pinned)
    in_force = under(*rules)
    remembered.forget()
    for half_day in asked:
        now = NOW + half_day * DAY / 2
        assert page(row, in_force, now) == json.dumps(from_rows.page(Page([row], 1, in_force), now=now))


def test_what_ends_by_itself_is_written_out_anew_when_it_has_ended(written_out: list[UUID]) -> None:
    keeps = Rule(id=UUID(int=1), level="workspace", action="retain", counted_from="created", days=5)
    purges = Rule(id=UUID(int=2), level="workspace", action="purge", counted_from="created", days=2)
    in_force = under(keeps, purges)
    assert b"2026-03-06T12" in page(ROW, in_force, NOW)
    assert b"2026-03-06T12" in page(ROW, in_force, NOW + 5 * DAY - timedelta(microseconds=1))
    assert len(written_out) == 1
    assert b"2026-03-03T12" in page(ROW, in_force, NOW + 5 * DAY)
    assert b"2026-03-03T12" in page(ROW, in_force, NOW + 9 * DAY)
    assert len(written_out) == 2


def test_a_thread_has_one_place(written_out: list[UUID]) -> None:
    for title in ("a", "b", "c"):
        page(ROW._replace(title=title), None, NOW)
    page(ROW._replace(title="c"), None, NOW)
    assert len(written._rows) == 1
    assert len(written_out) == 3


def test_what_is_large_is_written_out_each_time(written_out: list[UUID]) -> None:
    large = ROW._replace(metadata_text=json.dumps({"k": "x" * written.LARGEST_ROW}).decode())
    assert page(large, None, NOW) == page(large, None, NOW)
    assert len(written_out) == 2


def test_numbers_beyond_64_bits_are_told_as_floats() -> None:
    assert b'"k":1e+30' in page(ROW._replace(metadata_text=f'{{"k": 1{"0" * 30}}}'), None, NOW)


def test_rows_keep_nothing_of_what_was_in_force_alive() -> None:
    in_force = under(cover=Cover([("thread", UUID(int=number), None) for number in range(9)]))
    page(ROW, in_force, NOW)
    cover = ref(in_force.cover)
    del in_force
    assert cover() is None
    assert len(written._rows) == 1


def test_messages_of_next_to_nothing_take_room_too(tenant: Tenant, api: Api) -> None:
    before = written._messages._kept.currsize
    assert texts(api, make(tenant)) == []
    assert written._messages._kept.currsize >= before + written.ENTRY


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many messages were read, for each thread that was."""
    numbers: list[int] = []
    read = whole_rows.read

    def noted(**asked: Any) -> Any:
        found = read(**asked)
        numbers.append(len(found.messages))
        return found

    monkeypatch.setattr(whole_rows, "read", noted)
    return numbers


def say(tenant: Tenant, thread: Thread, *texts: str) -> None:
    append(actor=tenant.actor, thread=thread, drafts=[Draft(role="user", content=text) for text in texts])


def texts(api: Api, thread: Thread) -> list[str]:
    return [message["content"] for message in api.get(f"/threads/{thread.wire_id}").json()["messages"]]


def test_messages_are_read_again_only_when_the_thread_has_changed(tenant: Tenant, api: Api, said: list[int]) -> None:
    thread = make(tenant)
    say(tenant, thread, "one", "two")
    assert [texts(api, thread) for _ in range(3)] == [["one", "two"]] * 3
    assert said == [2, 0, 0]
    say(tenant, thread, "three")
    assert [texts(api, thread) for _ in range(2)] == [["one", "two", "three"]] * 2
    assert said == [2, 0, 0, 3, 0]
    first = api.get(f"/threads/{thread.wire_id}").json()["messages"][0]["id"]
    assert api.delete(f"/threads/{thread.wire_id}/messages/{first}").status_code == 200
    assert [texts(api, thread) for _ in range(2)] == [["two", "three"]] * 2


def test_remembered_messages_are_told_to_nobody_who_may_not_see_the_thread(
    tenant: Tenant, other_tenant: Tenant, api: Api, client: Any
) -> None:
    thread = make(tenant)
    say(tenant, thread, "one")
    assert texts(api, thread) == ["one"]
    other = client.get(f"/threads/{thread.wire_id}", headers={"Authorization": f"Bearer {other_tenant.key}"})
    assert other.status_code == 404
    actions.delete(actor=tenant.actor, thread=thread, now=NOW)
    assert api.get(f"/threads/{thread.wire_id}").status_code == 404


def test_messages_with_files_are_read_each_time(tenant: Tenant, api: Api, said: list[int]) -> None:
    thread = make(tenant)
    file = Upload("a.txt", "text/plain", b"text")
    append(actor=tenant.actor, thread=thread, drafts=[Draft(role="user", content="see", uploads=[file])])
    assert [texts(api, thread) for _ in range(2)] == [["see"]] * 2
    assert said == [1, 1]


def test_the_policy_of_a_thread_is_told_at_once_beside_remembered_messages(tenant: Tenant, api: Api) -> None:
    thread = make(tenant)
    say(tenant, thread, "one")
    assert texts(api, thread) == ["one"]
    holds.place(actor=tenant.actor, scope="workspace", reason="asked", now=NOW)
    shown = api.get(f"/threads/{thread.wire_id}").json()
    assert (shown["held"], len(shown["messages"])) == (True, 1)


def test_rows_that_are_found_by_metadata_are_not_remembered(tenant: Tenant, api: Api) -> None:
    """Each such list is another one."""
    make(tenant, metadata={"k": 1})
    for _ in range(2):
        assert api.get('/threads?include_messages=false&metadata={"k":1}').json()["count"] == 1
    assert len(written._rows) == 0
    listed(api)
    assert len(written._rows) == 1
