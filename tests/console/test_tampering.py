"""Whatever is written into an address or a form, no page fails."""

from uuid import UUID

import pytest
from django.test import Client

from tests.conftest import Tenant
from tests.console.addresses import addresses, filled, models, noun_of
from tests.console.conftest import Everything
from tests.console.test_agent_pages import form_of
from tests.console.test_every_deed import pages_of_their_own
from threadhub.lib import ids

EVERYWHERE = [
    "title__regex=(a", "name__regex=%00", "id__exact=notuuid", "workspace__name__regex=[",
    "user__password__startswith=a",
    "workspace=%00", "state=zzz", "status=%00", "q=%00", "q=(((", "q=%25_%5C", "q=99999999999999999999", "q=%ED%A0%80",
    "p=x", "p=o99999999999999999.ffffffffffffffffffffffffffffffff", "p=o.ffffffffffffffffffffffffffffffff",
    "p=o.999999999999999999", "p=" + "9" * 5000, "o=abc", "e=1", "_popup=1", "_to_field=nope",
]  # fmt: skip
OF_THREADS = [
    "title__regex=%00", "id=notuuid", "created_at__year=x", "agent__workspace__api_keys__digest=x",
    "agent=notuuid", "agent=%00", "agent=agent_7zzzzzzzzzzzzzzzzzzzzzzzzz",
    "workspace=workspace_00000000000000000000000000",
    "state=%00", "user=%00", "user=%F0%9F%98%80", "user=%ED%A0%80", "external_ref=%00", "external_ref=",
    "created_from=%00", "created_from=2024-99-99", "created_to=9999-12-31", "created_from=0001-01-01", "created_to=١",
    "q=a%00b", "q=%22", "q=-", "q=!%26|:*", "q=thread_%00", "q=thread_01", "q=" + "a" * 5000,
    "p=0", "p=-1", "p=o.", "p=n%00", "p=n.00000000000000000000000000000000", "p=o1.5", "p=n0.5",
    "p=9999999999999999999999",
    "rating=%00", "rating=x", "tool=%00", "tool=%ED%A0%80", "tool=" + "a" * 3000, "handled=%00", "handled=x",
    "assigned=%00", "assigned=x", "label=%00", "label=%F0%9F%98%80", "label={}", "q=(%22a", "q=%5B%5D*%2B",
    "q=%C4%B0", "q=" + "(" * 300,
    "o=1", "o=-99", "o=1.-1.x", "all=", "_facets=True", "_to_field=id", "_changelist_filters=%00",
]  # fmt: skip
IDS = [
    "notuuid", "%00", "0", "-1", "thread_", "a" * 3000, "%2e%2e", "_5F_00", "01a200e7-0fa3-7030-bb4c-215a80672a50",
    "9" * 30, "'", "%ED%A0%80", ids.encode("thread", UUID(int=7 << 120)),
]  # fmt: skip
NOUNS = sorted(models())
LISTS = [noun for noun in NOUNS if noun != "threads/retentionsettings"]  # which is of all workspaces, without filters


@pytest.mark.parametrize("noun", LISTS)
def test_no_list_fails(noun: str, console: Client, everything: Everything) -> None:
    queries = EVERYWHERE + (OF_THREADS if noun == "threads/thread" else [])
    codes = {query: console.get(f"/admin/{noun}/?{query}").status_code for query in queries}
    assert {query: code for query, code in codes.items() if code not in (200, 302, 400)} == {}
    assert codes["title__regex=(a"] == 400
    assert codes["q=((("] == 200


@pytest.mark.parametrize("noun", NOUNS)
def test_no_page_of_an_object_fails(noun: str, console: Client, everything: Everything) -> None:
    for wire_id in IDS:
        for rest in ("change/", "history/", "do/delete/"):
            address = f"/admin/{noun}/{wire_id}/{rest}"
            assert console.get(address).status_code in (301, 302, 403, 404), address
        assert console.post(address, {"x": "y"}).status_code == 404, address


@pytest.mark.parametrize("odd", IDS)
def test_no_page_of_its_own_fails(odd: str, console: Client, everything: Everything) -> None:
    """With something odd for each part of its address."""
    own = {name: pattern for pattern, name in addresses() if name in pages_of_their_own() and "<" in pattern}
    assert {"threads_thread_file", "agents_agent_version", "threads_retentionsettings_apply"} <= own.keys()
    things, parts = everything.things(), {"number": "1", "file_id": "x", "way": "older", "deed": "note"}
    for pattern in own.values():
        asked = {filled(pattern, {noun_of(pattern): odd}, parts)}
        asked |= {filled(pattern, things, {**parts, part: odd}) for part in parts if f":{part}>" in pattern}
        for address in asked - {filled(pattern, things, parts)}:
            assert console.get(str(address)).status_code in (301, 302, 403, 404), address
            assert console.post(str(address), {"x": "y"}).status_code in (302, 403, 404), address


@pytest.mark.parametrize("noun", NOUNS)
def test_no_action_fails(noun: str, console: Client, everything: Everything) -> None:
    for data in (
        {"action": "delete_selected", "_selected_action": ["notuuid", "\x00"], "index": "0"},
        {"action": "nothing", "_selected_action": "1", "index": "x"},
        {"form-TOTAL_FORMS": "x", "_save": "1"},
        {"action": ["a", "b"], "index": "9" * 5000},
    ):
        assert console.post(f"/admin/{noun}/", data).status_code in (200, 302, 400, 403), data


def test_no_form_fails(console: Client, everything: Everything) -> None:
    names = "name username workspace role scopes instructions provider its_tools password1 password2 description"
    nul: dict[str, str] = dict.fromkeys(names.split(), "a\x00b")
    nul |= {"metadata": "{", "context_budget": "9" * 400, "temperature": "NaN", "max_steps": "1e9"}
    for name, address in everything.pages().items():
        if " add" in name or " page" in name:
            assert console.post(address, nul).status_code in (200, 403), name
            assert console.post(address, {}).status_code in (200, 302, 403), name


@pytest.mark.parametrize(
    "metadata", ['{"a": "\\u0000"}', '{"\\ud800": 1}', "[1]", "NaN", "[" * 5000, '{"a": 1e999}', "9" * 5000, "null"]
)
def test_metadata_that_cannot_be_kept_is_refused(metadata: str, console: Client, tenant: Tenant) -> None:
    form = form_of(tenant.agent, metadata=metadata)
    assert console.post(f"/admin/agents/agent/{tenant.agent.wire_id}/change/", form).status_code == 200
    person = {"username": tenant.owner.username, "is_active": "on", "metadata": metadata}
    assert console.post(f"/admin/workspaces/user/{tenant.owner.wire_id}/change/", person).status_code == 200


def test_the_helpers_of_the_admin_do_not_fail(console: Client, everything: Everything) -> None:
    for query in (
        "",
        "?term=%00",
        "?app_label=agents&model_name=agent&field_name=workspace&term=%00",
        "?app_label=x&model_name=y&field_name=z",
    ):
        assert console.get(f"/admin/autocomplete/{query}").status_code in (200, 403, 404)
    assert console.get("/admin/r/1/notuuid/").status_code in (302, 404)
    assert console.get("/admin/r/x/%00/").status_code in (302, 404)
    assert console.get("/admin/jsi18n/").status_code == 200
    assert console.get("/admin/threads/").status_code in (200, 404)
    assert console.get("/admin/password_change/").status_code == 200


@pytest.mark.parametrize("query", EVERYWHERE)
def test_the_list_of_workspaces_retention_never_fails(query: str, console: Client, everything: Everything) -> None:
    assert console.get(f"/admin/threads/retentionsettings/?{query}").status_code == 200


@pytest.mark.parametrize(
    "query", ["state=trashed&p=x", "held=%00", "held=zzz", "held=yes&state=%00", "scope=x", "held="]
)
def test_nor_do_the_filters_of_retention(query: str, console: Client, everything: Everything) -> None:
    for noun in ("threads/thread", "threads/hold"):
        assert console.get(f"/admin/{noun}/?{query}").status_code in (200, 400)


@pytest.mark.parametrize("query", ["workspace=x", "workspace=%00&scope=%00", "target=%00", "agent=x&days=x"])
def test_nor_do_forms_that_are_filled_in_by_their_address(query: str, console: Client, everything: Everything) -> None:
    for noun in ("threads/hold", "threads/retentionpolicy"):
        assert console.get(f"/admin/{noun}/add/?{query}").status_code == 200


@pytest.mark.parametrize("rest", ["change/", "window/", "find/", "live/", "step/older/", "step/newer/"])
def test_no_part_of_a_transcript_fails(rest: str, console: Client, everything: Everything) -> None:
    address = f"/admin/threads/thread/{everything.thread.wire_id}/{rest}"
    for query in (
        "at=0", "at=x", "at=%00", "at=999999999", "before=-1", "after=%D9%A1", "branch=%00", "branch=99", "tail=1",
        "tail=x",
        "q=%00", "q=%ED%A0%80", "q=" + "%" * 50, "q=" + "a" * 9000, "q=(((", "_changelist_filters=%00",
        "_changelist_filters=title__regex%3D(a", "_changelist_filters=q%3D%2500%26p%3Dx",
        "_changelist_filters=" + "a" * 9000,
        "_changelist_filters=agent%3Dnotuuid%26rating%3Dbad", "_changelist_filters=created_from%3Dx", "end=%00",
    ):  # fmt: skip
        assert console.get(f"{address}?{query}").status_code in (200, 302, 404), query


@pytest.mark.parametrize("deed", ["take_over", "answer", "hand_back", "assign", "label", "note", "remove_note"])
def test_no_deed_at_the_desk_fails(deed: str, console: Client, everything: Everything) -> None:
    address = f"/admin/threads/thread/{everything.thread.wire_id}/desk/{deed}/"
    for data in (
        {}, {"text": "\x00"}, {"labels": "a\x00,b"}, {"labels": "," * 5000}, {"assignee": "notuuid"},
        {"assignee": "\x00"},
        {"note": "notuuid"}, {"assignee": ids.encode("user", UUID(int=7 << 120))}, {"text": "x" * 100_000},
    ):  # fmt: skip
        assert console.post(address, data).status_code == 302, data
    assert console.get(address).status_code == 404
