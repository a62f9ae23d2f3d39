"""PyPI `qelos-sdk`, unmodified: signing in and out, the user, API tokens, workspaces."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from qelos_sdk import QelosAPIError, QelosSDK
from qelos_sdk.types import QelosSDKOptions

from tests.clients import python_sdk
from tests.clients.ai_answers import API_TOKEN, ME, SIGNED_IN, TOKENS
from tests.clients.shapes import differences
from tests.hub import Hub

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.usefixtures("one_certificate"),
]


def credentials(hub: Hub) -> dict[str, str]:
    return {"username": hub.username, "password": hub.password}


def in_a_day() -> str:
    return (datetime.now(UTC) + timedelta(days=1)).isoformat()


async def failure(call: Any) -> str:
    """The message that the client shows, never its own fallback."""
    with pytest.raises(QelosAPIError) as raised:
        await call
    assert str(raised.value) not in ("", "Request failed")
    return str(raised.value)


@pytest.fixture
async def fresh(hub: Hub) -> AsyncIterator[QelosSDK]:
    """A client that has not signed in; whatever it does to its own sign-in harms no other test."""
    sdk = QelosSDK(QelosSDKOptions(app_url=hub.url))
    yield sdk
    await python_sdk.close(sdk)


async def test_signin_answers_the_user_and_a_cookie(fresh: QelosSDK, hub: Hub) -> None:
    signed_in = await fresh.authentication.signin(credentials(hub))
    assert differences(signed_in["payload"], SIGNED_IN) == []
    assert signed_in["payload"]["user"]["username"] == hub.username
    assert signed_in["payload"]["workspace"]["_id"] == hub.workspace_id
    cookie = signed_in["headers"]["set-cookie"]
    assert cookie.startswith("qlt_")
    assert {"httponly", "path=/api"} <= {part.strip().lower() for part in cookie.split(";")}
    assert "token" not in signed_in["payload"]


async def test_signin_with_a_bad_password_fails(fresh: QelosSDK, hub: Hub) -> None:
    with pytest.raises(Exception, match="failed to login"):
        await fresh.authentication.signin({**credentials(hub), "password": "wrong"})


async def test_oauth_signin_signs_the_client_in(fresh: QelosSDK, hub: Hub) -> None:
    signed_in = await fresh.authentication.oauth_signin(credentials(hub))
    assert differences(signed_in["payload"], TOKENS) == []
    assert signed_in["payload"]["token"] != signed_in["payload"]["refreshToken"]
    assert (await fresh.authentication.get_logged_in_user())["username"] == hub.username


async def test_oauth_signin_says_what_is_wrong(fresh: QelosSDK, hub: Hub) -> None:
    wrong = await failure(fresh.authentication.oauth_signin({**credentials(hub), "password": "wrong"}))
    nobody = await failure(fresh.authentication.oauth_signin({"username": "nobody@example.com", "password": "x"}))
    assert "password" in wrong.lower()
    assert nobody == wrong


async def test_me_is_the_signed_in_user(signed_in: QelosSDK, hub: Hub) -> None:
    me = await signed_in.authentication.get_logged_in_user()
    assert differences(me, ME) == []
    assert me["username"] == hub.username
    assert me["workspace"]["_id"] == hub.workspace_id


async def test_me_with_an_api_key_is_the_user_it_acts_as(by_key: QelosSDK) -> None:
    me = await by_key.authentication.get_logged_in_user()
    assert differences(me, ME) == []
    thread = await by_key.ai.threads.create({"integration": (await by_key.ai.agents.list())[0]["_id"]})
    assert thread["user"] == me["_id"]


async def test_me_without_any_credentials_is_refused(fresh: QelosSDK) -> None:
    assert await failure(fresh.authentication.get_logged_in_user()) == "could not able to refresh token"


async def test_update_me_changes_what_is_named_and_nothing_else(signed_in: QelosSDK) -> None:
    before = await signed_in.authentication.get_logged_in_user()
    changed = await signed_in.authentication.update_logged_in_user({"firstName": "Ada", "lastName": "Lovelace"})
    assert (changed["firstName"], changed["lastName"], changed["fullName"]) == (
        "Ada",
        "Lovelace",
        "Ada Lovelace",
    )
    names = {name: before[name] for name in ("firstName", "lastName")}
    after = await signed_in.authentication.update_logged_in_user({**names, "roles": ["admin"], "_id": "user_1"})
    assert after == before


async def test_a_new_password_is_the_one_that_works(other_workspace: Hub) -> None:
    sdk = await python_sdk.opened(other_workspace, "signed in")
    await sdk.authentication.update_logged_in_user({"password": "a-much-longer-secret-7"})
    old = await failure(sdk.authentication.oauth_signin(credentials(other_workspace)))
    assert "password" in old.lower()
    await sdk.authentication.oauth_signin({"username": other_workspace.username, "password": "a-much-longer-secret-7"})
    await sdk.authentication.update_logged_in_user({"password": other_workspace.password})
    await sdk.authentication.oauth_signin(credentials(other_workspace))
    await python_sdk.close(sdk)


async def test_a_refresh_token_works_once(fresh: QelosSDK, hub: Hub) -> None:
    first = (await fresh.authentication.oauth_signin(credentials(hub)))["payload"]
    second = (await fresh.authentication.refresh_token())["payload"]
    assert differences(second, TOKENS) == []
    assert {first["token"], first["refreshToken"]}.isdisjoint({second["token"], second["refreshToken"]})
    assert hub.get("/api/me", token=first["token"]).status_code == 200, "it lives until it expires"
    await failure(fresh.authentication.refresh_token(first["refreshToken"]))


async def test_an_expired_access_token_is_renewed_on_the_way(hub: Hub) -> None:
    refresh_token = python_sdk.sign_in(hub)["refreshToken"]
    tokens = {"access_token": "expired", "refresh_token": refresh_token}
    sdk = QelosSDK(QelosSDKOptions(app_url=hub.url, force_refresh=True, **tokens))
    assert (await sdk.authentication.get_logged_in_user())["username"] == hub.username
    assert sdk.authentication.access_token != "expired"
    await python_sdk.close(sdk)


async def test_logout_ends_the_sign_in(fresh: QelosSDK, hub: Hub) -> None:
    payload = (await fresh.authentication.oauth_signin(credentials(hub)))["payload"]
    assert (await fresh.authentication.logout()).status_code == 200
    assert hub.get("/api/me", token=payload["token"]).status_code == 401
    await failure(fresh.authentication.refresh_token(payload["refreshToken"]))


async def test_an_api_token_is_made_listed_used_and_deleted(signed_in: QelosSDK, fresh: QelosSDK) -> None:
    account = signed_in.authentication
    made = await account.create_api_token({"nickname": "ci", "expiresAt": in_a_day()})
    assert differences(made, {"token": "", "apiToken": API_TOKEN}) == []
    listed = await account.list_api_tokens()
    assert listed[0]["_id"] == made["apiToken"]["_id"]
    assert made["token"].startswith(listed[0]["tokenPrefix"])
    assert made["token"] not in str(listed)
    assert await fresh.authentication.api_token_signin(made["token"]) == await account.get_logged_in_user()
    assert isinstance(await fresh.ai.threads.list({"limit": 1}), list)
    await account.delete_api_token(made["apiToken"]["_id"])
    assert made["apiToken"]["_id"] not in [each["_id"] for each in await account.list_api_tokens()]
    assert "token" in (await failure(fresh.ai.threads.list())).lower()
    assert "not found" in await failure(account.delete_api_token(made["apiToken"]["_id"]))


async def test_an_api_token_needs_a_name_and_a_future_end(signed_in: QelosSDK) -> None:
    create = signed_in.authentication.create_api_token
    assert "nickname" in await failure(create({"expiresAt": in_a_day()}))
    assert "expiresAt" in await failure(create({"nickname": "ci"}))
    assert "expiresAt" in await failure(create({"nickname": "ci", "expiresAt": "2020-01-01T00:00:00.000Z"}))


async def test_an_eleventh_api_token_is_refused(signed_in: QelosSDK) -> None:
    account = signed_in.authentication
    made = []
    while len(await account.list_api_tokens()) < 10:
        made.append(await account.create_api_token({"nickname": "many", "expiresAt": in_a_day()}))
    assert "10" in await failure(account.create_api_token({"nickname": "many", "expiresAt": in_a_day()}))
    for each in made:
        await account.delete_api_token(each["apiToken"]["_id"])


async def test_api_tokens_are_not_managed_with_an_api_token(by_key: QelosSDK) -> None:
    account = by_key.authentication
    assert "token" in await failure(account.list_api_tokens())
    assert "token" in await failure(account.create_api_token({"nickname": "ci", "expiresAt": in_a_day()}))


async def test_a_bad_api_token_is_refused_with_words(fresh: QelosSDK) -> None:
    assert "token" in (await failure(fresh.authentication.api_token_signin("ql_" + "0" * 64))).lower()


async def test_workspaces_lists_those_of_the_user(signed_in: QelosSDK, hub: Hub) -> None:
    workspaces = await signed_in.workspaces.get_list()
    assert [each["_id"] for each in workspaces] == [hub.workspace_id]
    assert differences(workspaces[0], {"_id": "", "name": ""}) == []
