"""npm `@qelos/sdk`, unmodified, in Node: signing in and out, the user, API tokens, workspaces."""

import pytest

from tests.clients.ai_answers import API_TOKEN, ME, SIGNED_IN, TOKENS
from tests.clients.js_sdk import run, said
from tests.clients.shapes import differences
from tests.hub import Hub


def test_signin_answers_the_user_and_a_cookie_that_works(hub: Hub) -> None:
    got = run(hub, "signin", "nobody")
    assert differences(got["signedIn"]["payload"], SIGNED_IN) == []
    assert got["signedIn"]["headers"]["set-cookie"].startswith("qlt_")
    assert got["wrong"]["message"] == "failed to login"
    assert got["me"]["username"] == hub.username


def test_oauth_signin_signs_the_client_in(hub: Hub) -> None:
    got = run(hub, "oAuthSignin", "nobody")
    assert differences(got["signedIn"]["payload"], TOKENS) == []
    assert got["me"]["username"] == hub.username
    assert "password" in said(got["wrong"])


@pytest.mark.parametrize("way", ["api key", "signed in", "refresh token only", "access token only"])
def test_me_is_who_the_client_acts_as(hub: Hub, way: str) -> None:
    got = run(hub, "me", way)
    assert differences(got, ME) == []
    assert way == "api key" or got["username"] == hub.username


def test_me_without_any_credentials_is_refused_by_the_client_itself(hub: Hub) -> None:
    assert run(hub, "nobody", "nobody")["message"] == "could not able to refresh token"


def test_update_me_changes_what_is_named(hub: Hub) -> None:
    got = run(hub, "updateMe", "signed in")
    assert (got["changed"]["firstName"], got["changed"]["lastName"]) == ("Ada", "Lovelace")
    assert got["after"] == got["before"]


def test_a_refresh_token_works_once(hub: Hub) -> None:
    got = run(hub, "refresh", "nobody")
    assert got["first"]["refreshToken"] != got["second"]["refreshToken"]
    assert got["first"]["token"] != got["second"]["token"]
    assert got["me"]["username"] == hub.username
    assert said(got["usedTwice"])


def test_an_expired_access_token_is_renewed_on_the_way(hub: Hub) -> None:
    got = run(hub, "expiredAccessToken", "nobody")
    assert got["me"]["username"] == hub.username
    assert got["requests"] == [["GET", "/api/me"], ["POST", "/api/token/refresh"], ["GET", "/api/me"]]


def test_logout_ends_the_sign_in(hub: Hub) -> None:
    got = run(hub, "logout", "nobody")
    assert got["status"] == 200
    assert said(got["afterwards"])
    assert said(got["refreshed"])


def test_an_api_token_is_made_listed_used_and_deleted(hub: Hub) -> None:
    got = run(hub, "apiTokens", "signed in")
    assert differences(got["made"], {"token": "", "apiToken": API_TOKEN}) == []
    assert got["listed"][0]["_id"] == got["made"]["apiToken"]["_id"]
    assert got["made"]["token"] not in str(got["listed"])
    assert got["me"]["username"] == hub.username
    assert isinstance(got["threads"], list)
    assert got["deleted"] == {"message": "Token revoked"}
    assert got["made"]["apiToken"]["_id"] not in [each["_id"] for each in got["left"]]
    assert "token" in said(got["afterwards"])
    assert said(got["deletedAgain"]) == "token not found"


def test_an_api_token_needs_a_name_and_a_future_end(hub: Hub) -> None:
    got = run(hub, "apiTokenRefusals", "signed in")
    assert said(got["nickname"]) == said(got["expiresAt"]) == "nickname and expiresat are required"
    assert said(got["past"]) == "expiresat must be a valid future date"


def test_api_tokens_are_not_managed_with_an_api_token(hub: Hub) -> None:
    got = run(hub, "tokensByToken")
    assert said(got["list"]) == said(got["create"])
    assert "not allowed" in said(got["list"])


def test_a_bad_api_token_is_refused_with_words(hub: Hub) -> None:
    assert "token" in said(run(hub, "badToken", "nobody"))


def test_workspaces_lists_those_of_the_user(hub: Hub) -> None:
    assert [each["_id"] for each in run(hub, "workspaces", "signed in")] == [hub.workspace_id]
