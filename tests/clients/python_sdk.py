"""Opening and closing the Python client of seed 000 (PyPI `qelos-sdk`), unmodified."""

from typing import Any

from qelos_sdk import BaseSDK, QelosSDK, QelosSDKOptions

from tests.hub import Hub

WAYS = (
    "api key",
    "api key and force_refresh",
    "signed in",
    "signed in and force_refresh",
    "refresh token only",
    "access token only",
)


def sign_in(hub: Hub) -> dict[str, Any]:
    """Tokens of the demo user, by a plain request: `{token, refreshToken, user, workspace}`."""
    credentials = {"username": hub.username, "password": hub.password, "authType": "oauth"}
    response = hub.post("/api/signin", token="", json=credentials)
    assert response.status_code == 200, response.text
    payload: dict[str, Any] = response.json()["payload"]
    return payload


async def opened(hub: Hub, way: str) -> QelosSDK:
    """A client that authenticates in one of WAYS."""
    options: dict[str, Any] = {"app_url": hub.url, "force_refresh": way.endswith("force_refresh")}
    if way.startswith("api key"):
        options["api_token"] = hub.api_key
    elif way == "refresh token only":
        options["refresh_token"] = sign_in(hub)["refreshToken"]
    elif way == "access token only":
        options["access_token"] = sign_in(hub)["token"]
    sdk = QelosSDK(QelosSDKOptions(**options))
    if way.startswith("signed in"):
        await sdk.authentication.oauth_signin({"username": hub.username, "password": hub.password})
    return sdk


async def close(sdk: Any) -> None:
    """Close every module's connections: the client's own `close` closes one of a dozen."""
    parts, closed = [sdk], set[int]()
    while parts:
        part = parts.pop()
        if id(part) in closed:
            continue
        closed.add(id(part))
        if isinstance(part, BaseSDK):
            await part._client.aclose()
        parts += [each for each in vars(part).values() if isinstance(each, BaseSDK)]
