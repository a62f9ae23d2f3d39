"""Running the JavaScript client of seed 000 (npm `@qelos/sdk`), unmodified, in Node: the scenarios of `js/`."""

from typing import Any

from tests.clients import node
from tests.hub import Hub

WAYS = (
    "api key",
    "api key and forceRefresh",
    "signed in",
    "signed in and forceRefresh",
    "refresh token only",
    "access token only",
)
# The client's own sentence for any 4xx where it has no token to refresh.
CANNOT_REFRESH = "could not able to refresh token"


def run(hub: Hub, scenario: str, way: str = "api key", **given: Any) -> Any:
    """What one scenario of `js/scenarios/` returned; `given` is beside the hub's fields."""
    return node.run_with_packages(
        "driver.mjs", {"scenario": scenario, "way": way, "hub": {**hub.credentials(), **given}}
    )


def said(failure: dict[str, Any], way: str = "") -> str:
    """The message of a failed call; `forceRefresh` hides the server's where there is nothing to refresh."""
    if way == "api key and forceRefresh":
        assert failure["message"] == CANNOT_REFRESH
        return ""
    message: str = failure["message"]
    assert message not in ("", "Request failed")
    return message.rstrip(".").lower()
