"""What the tests of the clients share."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import certifi
import pytest
from qelos_sdk import QelosSDK

pytest.register_assert_rewrite("tests.clients.ai_answers", "tests.clients.js_sdk")

from tests.clients import python_sdk  # noqa: E402
from tests.hub import Hub  # noqa: E402


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """The Python client is asynchronous and built on asyncio."""
    return "asyncio"


@pytest.fixture(scope="module")
def one_certificate(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A certificate store of one, for a client on loopback: each of its dozen connections would read 150 of them."""
    end = "-----END CERTIFICATE-----\n"
    store: Path = tmp_path_factory.mktemp("certificates") / "one.pem"
    store.write_text(certifi.contents().partition(end)[0] + end)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SSL_CERT_FILE", str(store))
        yield


@pytest.fixture(scope="module", params=python_sdk.WAYS)
async def sdk(request: pytest.FixtureRequest, hub: Hub, one_certificate: None) -> AsyncIterator[QelosSDK]:
    """The Python client, opened in each of the ways it has."""
    opened = await python_sdk.opened(hub, request.param)
    yield opened
    await python_sdk.close(opened)


@pytest.fixture(scope="module")
async def by_key(hub: Hub, one_certificate: None) -> AsyncIterator[QelosSDK]:
    """The Python client with the workspace's API key."""
    opened = await python_sdk.opened(hub, "api key")
    yield opened
    await python_sdk.close(opened)


@pytest.fixture(scope="module")
async def signed_in(hub: Hub, one_certificate: None) -> AsyncIterator[QelosSDK]:
    """The Python client after its own sign-in call."""
    opened = await python_sdk.opened(hub, "signed in")
    yield opened
    await python_sdk.close(opened)
