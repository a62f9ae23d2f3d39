"""No shared cache keeps what the API answers; a client that has an answer already is told so, and only that client."""

import pytest
from django.conf import settings

from tests.conftest import Api, Tenant, access_token, make_user
from tests.trust import samples
from tests.trust.matrix import fill
from tests.trust.operations import let_go, operations
from tests.trust.world import World, build
from threadhub.api import streaming
from threadhub.workspaces import keys
from threadhub.workspaces.permissions import Role

PRIVATE = {"private, no-cache", "no-store", "private, no-cache, no-transform"}


@pytest.fixture
def world(db: None, monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.setattr(streaming, "close_old_connections", lambda: None)  # the test's own connection is not closed
    return build()


def test_each_reading_route_is_private_and_varies_with_who_asks(world: World) -> None:
    """Of the served OpenAPI: a new one is here by itself."""
    api, tagged = Api(access_token(world.victim.tenant.owner)), 0
    for operation in operations():
        if operation.method != "GET":
            continue
        named = {name: world.victim.named[noun] for name, noun in samples.in_path(operation).items()}
        answer = let_go(api.get(fill(operation.path, named)))
        assert answer["Cache-Control"] in PRIVATE, operation
        assert {"Authorization", "x-api-key", "Cookie"} <= set(answer["Vary"].split(", ")), operation
        if answer.status_code == 200 and not answer.streaming and answer["Cache-Control"] != "no-store":
            again = api.get(fill(operation.path, named), headers={"If-None-Match": answer["ETag"]})
            assert (again.status_code, again.content) == (304, b""), operation
            assert (again["ETag"], again["Vary"]) == (answer["ETag"], answer["Vary"])
            tagged += 1
    assert tagged > 40


def test_the_same_bytes_have_another_tag_for_somebody_else(tenant: Tenant, api: Api) -> None:
    _, second = keys.create(workspace=tenant.workspace, user=tenant.owner, name="second")
    mine = api.get("/agents")
    theirs = Api(second).get("/agents", headers={"If-None-Match": mine["ETag"]})
    assert theirs.status_code == 200
    assert theirs.content == mine.content
    assert theirs["ETag"] != mine["ETag"]


def test_who_acts_for_another_has_another_tag(tenant: Tenant, api: Api) -> None:
    one, other = (api.get("/threads", headers={"X-End-User": name}) for name in ("one", "other"))
    assert one.json() == other.json()
    make_user("ada", tenant.workspace, Role.ADMIN)
    assert api.get("/threads")["ETag"] not in {one["ETag"], other["ETag"]}


def test_a_change_is_another_tag(tenant: Tenant, api: Api) -> None:
    before = api.get(f"/agents/{tenant.agent.wire_id}")
    assert api.patch(f"/agents/{tenant.agent.wire_id}", {"name": "Other"}).status_code == 200
    after = api.get(f"/agents/{tenant.agent.wire_id}", headers={"If-None-Match": before["ETag"]})
    assert after.status_code == 200
    assert after["ETag"] != before["ETag"]


def test_head_tells_the_tag_of_get_and_writing_has_none(tenant: Tenant, api: Api) -> None:
    assert api.head("/agents")["ETag"] == api.get("/agents")["ETag"]
    assert "ETag" not in api.post("/agents", {"name": "New", "provider": "echo"})


@pytest.mark.parametrize("path", ["/no/such/path", "/threads/thread_x", "/api/nothing", "/api/ai/threads/x"])
def test_an_error_is_kept_by_no_cache_either(path: str, api: Api) -> None:
    for caller in (api, Api()):
        answer = caller.get(path)
        assert answer.status_code in (401, 404)
        assert answer["Cache-Control"] == "private, no-cache"
        assert "ETag" not in answer


@pytest.mark.parametrize("path", ["/threads", "/api/ai/threads"])
@pytest.mark.parametrize("host", ["evil.example", "testserver.evil.example", "", "a b", "[::1"])
def test_a_host_that_is_not_ours_is_refused(path: str, host: str, api: Api) -> None:
    answer = api.get(path, headers={"Host": host})
    assert answer.status_code == 400
    assert answer["Content-Type"].startswith(("application/problem+json", "application/json"))
    assert "evil" not in answer.content.decode()


def test_a_proxys_word_of_the_host_is_not_taken(api: Api, tenant: Tenant) -> None:
    for _ in range(2):
        api.post(f"/agents/{tenant.agent.wire_id}/threads", {})
    page = api.get("/threads", {"take": "1"}, headers={"X-Forwarded-Host": "evil.example", "Forwarded": "host=evil"})
    assert page.json()["next"].startswith("http://testserver/threads")
    assert not settings.USE_X_FORWARDED_HOST
