"""`GET /threads`."""

from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import pytest

from tests.api.rest.conftest import (
    MESSAGE_FIELDS,
    PNG,
    THREAD_FIELDS,
    fault,
    ids_of,
    new_thread,
    path_of,
    posted,
    problem,
    say,
)
from tests.conftest import Api, Tenant
from threadhub.lib import ids
from threadhub.workspaces.models import User
from threads.models import Thread

DAY = datetime(2024, 1, 31, tzinfo=UTC)


def made(tenant: Tenant, *moments: datetime, **fields: Any) -> list[str]:
    """Threads that were created at these times; their wire ids in that order."""
    threads = [
        Thread(workspace=tenant.workspace, agent=tenant.agent, created_at=moment, updated_at=moment, **fields)
        for moment in moments
    ]
    Thread.objects.bulk_create(threads)
    return [thread.wire_id for thread in threads]


def test_it_answers_the_envelope_of_seed_003(api: Api, tenant: Tenant) -> None:
    thread = new_thread(api, tenant, external_ref="ticket", title="Help")
    say(api, thread, "Hello")
    page = api.get("/threads").json()
    assert list(page) == ["count", "has_more", "next", "previous", "data"]
    assert (page["count"], page["has_more"], page["next"], page["previous"]) == (1, False, None, None)
    (listed,) = page["data"]
    assert list(listed) == [*THREAD_FIELDS, "messages"]
    assert list(listed["messages"][0]) == MESSAGE_FIELDS
    assert (listed["external_ref"], listed["title"], listed["messages"][0]["content"]) == ("ticket", "Help", "Hello")
    assert listed["created_at"].endswith("Z")
    assert len(listed["created_at"]) == len("2025-01-01T00:00:00.000Z")


def test_it_leaves_messages_out_when_asked(api: Api, thread: dict[str, Any]) -> None:
    assert list(api.get("/threads?include_messages=false").json()["data"][0]) == THREAD_FIELDS
    assert "messages" in api.get("/threads?include_messages=True").json()["data"][0]
    assert "true or false" in fault(api.get("/threads?include_messages=maybe"), "query", "include_messages")


def test_it_counts_and_lists_only_what_one_may_see(
    api: Api, tenant: Tenant, mallorys: Api, as_user: Any, alice: User
) -> None:
    mine = new_thread(api, tenant)
    hers = new_thread(as_user(alice), tenant)
    assert ids_of(api.get("/threads")) == [hers["id"], mine["id"]]
    assert ids_of(as_user(alice).get("/threads")) == [hers["id"]]
    assert mallorys.get("/threads").json() == {
        "count": 0,
        "has_more": False,
        "next": None,
        "previous": None,
        "data": [],
    }


def test_it_makes_the_same_queries_however_many_threads(
    api: Api, tenant: Tenant, django_assert_num_queries: Any
) -> None:
    for number in range(5):
        thread = new_thread(api, tenant, external_ref=str(number))
        say(api, thread, "a", "b")
        posted(api, thread, role="user", documents=[{"url": PNG}])
    api.get("/threads")  # notes the use of the key
    # the key, the count, the threads, their messages, the files of those, policies with holds
    with django_assert_num_queries(6):
        assert len(api.get("/threads").json()["data"]) == 5
    # the key, the threads with all that stands beside them
    with django_assert_num_queries(2):
        api.get("/threads?include_messages=false")
    # and of a page in the middle: whether there is one before it
    following = path_of(api.get("/threads?include_messages=false&take=2").json()["next"])
    with django_assert_num_queries(5):
        api.get(following)


class TestPages:
    def test_skip_and_take_count_through_the_list(self, api: Api, tenant: Tenant) -> None:
        threads = made(tenant, *(DAY + timedelta(hours=hour) for hour in range(5)))
        assert ids_of(api.get("/threads")) == threads[::-1]
        assert ids_of(api.get("/threads?order=asc")) == threads
        assert ids_of(api.get("/threads?skip=1&take=2")) == [threads[3], threads[2]]
        assert ids_of(api.get("/threads?skip=1&take=2&order=asc")) == threads[1:3]
        assert api.get("/threads?skip=4&take=2").json()["has_more"] is False
        assert api.get("/threads?skip=1&take=2").json()["has_more"] is True

    @pytest.mark.parametrize("order", ["asc", "desc"])
    def test_cursors_lead_through_all_of_it_and_back(self, api: Api, tenant: Tenant, order: str) -> None:
        # Three share one moment: only the id tells them apart.
        moments = [DAY, DAY, DAY, DAY + timedelta(microseconds=1), DAY + timedelta(days=1)]
        made(tenant, *moments)
        whole = ids_of(api.get(f"/threads?order={order}"))
        url, pages = f"/threads?order={order}&take=2", []
        while True:
            page = api.get(url).json()
            pages.append([row["id"] for row in page["data"]])
            assert page["count"] == 5
            assert page["has_more"] == (page["next"] is not None)
            if page["next"] is None:
                break
            url = path_of(page["next"])
        assert [len(rows) for rows in pages] == [2, 2, 1]
        assert [thread_id for rows in pages for thread_id in rows] == whole
        back = []
        while page["previous"] is not None:
            page = api.get(path_of(page["previous"])).json()
            back.insert(0, [row["id"] for row in page["data"]])
            assert page["next"] is not None
        assert back == pages[:2]

    def test_a_page_stays_in_place_when_newer_threads_come(self, api: Api, tenant: Tenant) -> None:
        threads = made(tenant, *(DAY + timedelta(hours=hour) for hour in range(4)))
        first = api.get("/threads?take=2").json()
        new_thread(api, tenant)
        second = api.get(path_of(first["next"])).json()
        assert [row["id"] for row in second["data"]] == [threads[1], threads[0]]
        assert second["count"] == 5

    def test_the_links_keep_the_filters(self, api: Api, tenant: Tenant) -> None:
        made(tenant, DAY, DAY, DAY, external_ref="a&b=ü")
        made(tenant, DAY)
        page = api.get(f"/threads?take=1&skip=1&externalRef={quote('a&b=ü')}").json()
        query = parse_qs(urlsplit(page["next"]).query)
        assert query.keys() == {"take", "externalRef", "cursor"}
        assert query["externalRef"] == ["a&b=ü"]
        assert api.get(path_of(page["next"])).json()["count"] == 3
        assert api.get(path_of(page["previous"])).json()["previous"] is None

    def test_past_the_end_there_is_a_way_back(self, api: Api, tenant: Tenant) -> None:
        threads = made(tenant, DAY, DAY + timedelta(hours=1), DAY + timedelta(hours=2))
        page = api.get("/threads?skip=9&take=2").json()
        assert (page["data"], page["next"], page["has_more"], page["count"]) == ([], None, False, 3)
        assert ids_of(api.get(path_of(page["previous"]))) == [threads[1], threads[0]]

    def test_a_cursor_whose_row_is_gone_still_works(self, api: Api, tenant: Tenant) -> None:
        threads = made(tenant, *(DAY + timedelta(hours=hour) for hour in range(4)))
        page = api.get("/threads?take=2").json()
        assert api.delete(f"/threads/{threads[2]}").status_code == 200
        second = api.get(path_of(page["next"])).json()
        assert [row["id"] for row in second["data"]] == [threads[1], threads[0]]
        assert second["previous"] is not None

    def test_take_is_clamped_and_zero_is_an_empty_page(self, api: Api, tenant: Tenant) -> None:
        made(tenant, *[DAY] * 101)
        assert len(ids_of(api.get("/threads"))) == 50
        for take in ("100", "101", "99999999999999999999999999", "0100"):
            assert len(ids_of(api.get(f"/threads?take={take}"))) == 100
        page = api.get("/threads?take=0").json()
        assert page == {"count": 101, "has_more": False, "next": None, "previous": None, "data": []}

    @pytest.mark.parametrize("name", ["skip", "take"])
    @pytest.mark.parametrize("text", ["-1", "%2B1", "1.0", "", "%20", "٥", "1e2", "0x1", "²"])
    def test_what_is_no_whole_number_is_refused(self, api: Api, name: str, text: str) -> None:
        assert "whole number" in fault(api.get(f"/threads?{name}={text}"), "query", name)

    def test_too_deep_a_skip_points_to_the_cursor(self, api: Api) -> None:
        assert api.get("/threads?skip=10000").status_code == 200
        for skip in ("10001", "9" * 30):
            assert "cursor" in fault(api.get(f"/threads?skip={skip}"), "query", "skip")

    def test_a_forged_cursor_is_refused(self, api: Api, tenant: Tenant, mallorys: Api, other_tenant: Tenant) -> None:
        made(tenant, DAY, DAY)
        made(other_tenant, DAY, DAY)
        cursor = parse_qs(urlsplit(api.get("/threads?take=1").json()["next"]).query)["cursor"][0]
        foreign = parse_qs(urlsplit(mallorys.get("/threads?take=1").json()["next"]).query)["cursor"][0]
        assert api.get(f"/threads?take=1&cursor={cursor}").status_code == 200
        head, _, signature = cursor.rpartition(":")
        signed = f"{head}:{'y' if signature[0] == 'x' else 'x'}{signature[1:]}"
        forged = ["", "x", "::", head, f"{head}:", f"x{cursor}", signed, foreign, "%FF", "9" * 5000]
        for text in forged:
            assert "cursor" in fault(api.get(f"/threads?cursor={text}"), "query", "cursor")
        assert api.get(f"/threads?order=asc&cursor={cursor}").status_code == 422
        assert api.get(f"/agents/{tenant.agent.wire_id}/threads?cursor={cursor}").status_code == 422
        assert "not both" in fault(api.get(f"/threads?skip=1&cursor={cursor}"), "query", "skip")

    def test_order_is_asc_or_desc(self, api: Api) -> None:
        assert "asc or desc" in fault(api.get("/threads?order=newest"), "query", "order")


class TestFilters:
    def test_external_ref_is_matched_byte_for_byte(self, api: Api, tenant: Tenant) -> None:
        refs = ["Ticket", "ticket", "ticket ", "", "tic%", "é", "e\u0301", "a/b"]
        by_ref = {ref: new_thread(api, tenant, external_ref=ref)["id"] for ref in refs}
        nameless = new_thread(api, tenant)
        for ref, thread_id in by_ref.items():
            assert ids_of(api.get("/threads", {"externalRef": ref})) == [thread_id]
        assert nameless["external_ref"] is None
        assert ids_of(api.get("/threads", {"externalRef": "none"})) == []

    def test_agent_and_user_filter_within_what_one_may_see(
        self, api: Api, tenant: Tenant, other_tenant: Tenant, mallorys: Api, as_user: Any, alice: User
    ) -> None:
        mine, hers = new_thread(api, tenant), new_thread(as_user(alice), tenant)
        foreign = new_thread(mallorys, other_tenant)
        assert ids_of(api.get(f"/threads?userId={alice.wire_id}")) == [hers["id"]]
        assert ids_of(api.get(f"/threads?agentId={tenant.agent.wire_id}&userId={mine['user_id']}")) == [mine["id"]]
        for text in (other_tenant.agent.wire_id, ids.encode("agent", ids.new()), "nonsense", "", alice.wire_id):
            assert ids_of(api.get(f"/threads?agentId={text}")) == []
        for text in (foreign["user_id"], ids.encode("user", ids.new()), "nonsense", ""):
            assert ids_of(api.get(f"/threads?userId={text}")) == []
        assert ids_of(as_user(alice).get(f"/threads?userId={mine['user_id']}")) == []

    def test_dates_include_their_ends(self, api: Api, tenant: Tenant) -> None:
        tick = timedelta(microseconds=1)
        before, first, last, after = made(
            tenant, DAY - tick, DAY, DAY + timedelta(days=1) - tick, DAY + timedelta(days=1)
        )
        assert ids_of(api.get("/threads?date_from=2024-01-31")) == [after, last, first]
        assert ids_of(api.get("/threads?date_to=2024-01-31")) == [last, first, before]
        assert ids_of(api.get("/threads?date_from=2024-01-31&date_to=2024-01-31")) == [last, first]
        assert ids_of(api.get("/threads?date_to=2024-01-31T00:00:00")) == [first, before]
        assert ids_of(api.get("/threads?date_from=2024-01-31T01:00:00%2B01:00&date_to=2024-01-31")) == [last, first]
        assert ids_of(api.get("/threads?date_from=2024-02-01T00:00:00.000001Z")) == []

    def test_faulty_dates_are_explained(self, api: Api) -> None:
        assert "%2B" in fault(api.get("/threads?date_from=2024-01-31T10:00:00+01:00"), "query", "date_from")
        assert "must be a date" in fault(api.get("/threads?date_to=tomorrow"), "query", "date_to")
        assert "must be a date" in fault(api.get("/threads?date_to="), "query", "date_to")
        late = fault(api.get("/threads?date_from=2024-02-01&date_to=2024-01-31"), "query", "date_from")
        assert "after date_to" in late

    def test_metadata_holds_all_that_is_asked(self, api: Api, tenant: Tenant) -> None:
        gold = new_thread(api, tenant, metadata={"plan": "gold", "seats": 3, "tags": ["a", "b"]})
        new_thread(api, tenant, metadata={"plan": "tin"})
        for wanted in ('{"plan": "gold"}', '{"plan": "gold", "seats": 3}', '{"tags": ["b"]}'):
            assert ids_of(api.get("/threads", {"metadata": wanted})) == [gold["id"]]
        assert ids_of(api.get("/threads", {"metadata": '{"plan": "gold", "seats": 4}'})) == []
        for wanted in ("gold", "[1]", "", '{"a": NaN}', "{" * 100, '{"a": "\\u0000"}'):
            assert "JSON object" in fault(api.get("/threads", {"metadata": wanted}), "query", "metadata")

    def test_state_and_title(self, api: Api, tenant: Tenant) -> None:
        found = new_thread(api, tenant, title="Order 100% lost")
        other = new_thread(api, tenant, title="Order 100x")
        Thread.objects.filter(pk=ids.decode("thread", other["id"])).update(state="archived")
        assert ids_of(api.get("/threads", {"title": "oRDER 100%"})) == [found["id"]]
        assert ids_of(api.get("/threads?state=archived")) == [other["id"]]
        assert ids_of(api.get("/threads?state=active")) == [found["id"]]
        assert api.get("/threads?state=archived").json()["data"][0]["state"] == "archived"
        assert "active, archived" in fault(api.get("/threads?state=temporary"), "query", "state")
        fault(api.get("/threads?title="), "query", "title")


class TestStrictness:
    @pytest.mark.parametrize(
        ("sent", "meant"),
        [
            ("externlRef", "externalRef"),
            ("external_ref", "externalRef"),
            ("AGENTID", "agentId"),
            ("limit", None),
            ("dateFrom", "date_from"),
            ("orders", "order"),
        ],
    )
    def test_an_unknown_parameter_is_named_with_the_nearest_known(self, api: Api, sent: str, meant: str | None) -> None:
        message = fault(api.get(f"/threads?{sent}=x"), "query", sent)
        assert sent in message
        assert meant is None or f"Did you mean '{meant}'?" in message

    def test_a_repeated_parameter_is_refused(self, api: Api) -> None:
        assert "2 times" in fault(api.get("/threads?externalRef=a&externalRef=b"), "query", "externalRef")
        assert api.get("/threads?take=1&take=1").status_code == 422

    def test_text_that_cannot_be_stored_is_refused(self, api: Api) -> None:
        for name in ("externalRef", "title", "agentId", "metadata", "cursor", "order", "date_from"):
            assert "NUL" in fault(api.get(f"/threads?{name}=a%00b"), "query", name)
        assert api.get("/threads?a%00b=1").status_code == 422
        assert ids_of(api.get("/threads?externalRef=%FF%FE")) == []

    def test_every_fault_has_a_row(self, api: Api) -> None:
        body = problem(api.get("/threads?externlRef=a&takes=1"), 422, "invalid")
        assert [row["loc"] for row in body["errors"]] == [["query", "externlRef"], ["query", "takes"]]
        assert "and 1 more" in body["detail"]


def test_methods_it_does_not_have_are_405_and_say_which_it_has(api: Api) -> None:
    for method in (api.post, api.put, api.patch, api.delete):
        response = method("/threads", content_type="application/json")
        problem(response, 405, "method_not_allowed")
        assert set(response["Allow"].split(", ")) == {"GET", "HEAD", "OPTIONS"}


def test_head_and_options(api: Api, thread: dict[str, Any]) -> None:
    head = api.head("/threads")
    assert (head.status_code, head.content) == (200, b"")
    options = api.options("/threads")
    assert (options.status_code, options.content) == (204, b"")
    assert set(options["Allow"].split(", ")) == {"GET", "HEAD", "OPTIONS"}


def test_without_credentials_it_is_401(db: None) -> None:
    for client in (Api(), Api("th_nonsense"), Api("a.b.c")):
        response = client.get("/threads")
        assert problem(response, 401, response.json()["code"])
        assert response["WWW-Authenticate"] == "Bearer"


def test_a_slash_at_the_end_is_404_and_no_redirect(api: Api) -> None:
    problem(api.get("/threads/"), 404, "not_found")


def test_what_is_deleted_is_gone_from_the_next_answer(api: Api, tenant: Tenant) -> None:
    thread = new_thread(api, tenant, title="gone soon")
    say(api, thread, "unmistakable")
    assert ids_of(api.get("/threads?title=gone")) == [thread["id"]]
    assert api.delete(f"/threads/{thread['id']}").json() == {"success": True}
    page = api.get("/threads").json()
    assert (page["count"], page["data"]) == (0, [])
    assert api.get("/search?q=unmistakable").json()["data"] == []
