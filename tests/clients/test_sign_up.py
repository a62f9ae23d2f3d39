"""Signing up with both clients of seed 000: on a hub whose owner allows it, and refused on one as it comes."""

from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest
from qelos_sdk import QelosAPIError, QelosSDK
from qelos_sdk.types import QelosSDKOptions

from tests.clients import js_sdk, python_sdk
from tests.clients.ai_answers import SIGNED_IN, TOKENS
from tests.clients.shapes import differences
from tests.hub import Hub, running

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.usefixtures("one_certificate"),
]


@pytest.fixture(scope="module")
def open_hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    """A hub where everybody may make an account."""
    home = tmp_path_factory.mktemp("open-hub")
    with running(home / "data", logs=home, environment={"SIGNUP_ENABLED": "true"}) as hub:
        yield hub


def somebody() -> dict[str, Any]:
    return {
        "username": f"ada-{uuid4()}",
        "password": "a-long-enough-secret-7",
        "firstName": "Ada",
        "lastName": "Lovelace",
        "birthDate": "1815-12-10",
        "email": "ada@example.org",
    }


async def test_the_python_client_signs_up(open_hub: Hub) -> None:
    sdk = QelosSDK(QelosSDKOptions(app_url=open_hub.url))
    first, second = somebody(), somebody()
    signed_up = await sdk.authentication.signup(first)
    assert differences(signed_up["payload"], SIGNED_IN) == []
    with_tokens = await sdk.authentication.oauth_signup(second)
    assert differences(with_tokens["payload"], TOKENS) == []
    me = await sdk.authentication.get_logged_in_user()
    assert (me["username"], me["fullName"], me["birthDate"]) == (second["username"], "Ada Lovelace", "1815-12-10")
    await sdk.authentication.oauth_signin({"username": first["username"], "password": first["password"]})
    assert (await sdk.authentication.get_logged_in_user())["username"] == first["username"]
    with pytest.raises(QelosAPIError, match="username"):
        await sdk.authentication.signup(first)
    with pytest.raises(QelosAPIError, match="password"):
        await sdk.authentication.signup({**somebody(), "password": "short"})
    await python_sdk.close(sdk)


def test_the_javascript_client_signs_up(open_hub: Hub) -> None:
    got = js_sdk.run(open_hub, "signUp", "nobody", people=[somebody(), somebody()])
    assert differences(got["signedUp"]["payload"], SIGNED_IN) == []
    assert differences(got["withTokens"]["payload"], TOKENS) == []
    assert got["me"]["fullName"] == "Ada Lovelace"
    assert "username" in js_sdk.said(got["taken"])


async def test_a_hub_as_it_comes_refuses_with_words(hub: Hub) -> None:
    sdk = QelosSDK(QelosSDKOptions(app_url=hub.url))
    with pytest.raises(QelosAPIError, match="switched off"):
        await sdk.authentication.oauth_signup(somebody())
    await python_sdk.close(sdk)
