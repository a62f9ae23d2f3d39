"""Browsers of other origins: exactly those on the list, on every address of the API, never with cookies."""

from typing import Any

import pytest

from tests.conftest import Api, Tenant
from tests.trust.operations import operations

ORIGIN = "https://app.example.org"
ALLOW, CREDENTIALS = "Access-Control-Allow-Origin", "Access-Control-Allow-Credentials"
OTHERS = [
    "https://app.example.org.evil.example", "https://evil.example", "http://app.example.org", "null", "*",
    "https://app.example.org:8443", "https://APP.example.org", "https://xapp.example.org",
]  # fmt: skip


@pytest.fixture(autouse=True)
def _listed(settings: Any) -> None:
    settings.CORS_ALLOWED_ORIGINS = [ORIGIN]


def addresses() -> list[tuple[str, str]]:
    """(method, path) of every operation of the served OpenAPI: a new one is here by itself."""
    return [(each.method, each.path.replace("{", "").replace("}", "")) for each in operations()]


def preflight(method: str, path: str, origin: str, headers: str = "authorization") -> Any:
    asked = {
        "Origin": origin, "Access-Control-Request-Method": method, "Access-Control-Request-Headers": headers
    }  # fmt: skip
    return Api().options(path, headers=asked)


def test_every_address_takes_a_listed_page(db: None) -> None:
    without = [(m, path) for m, path in addresses() if preflight(m, path, ORIGIN).get(ALLOW) != ORIGIN]
    assert without == []
    for method, path in addresses()[:40]:
        answer = preflight(method, path, ORIGIN)
        assert method in answer["Access-Control-Allow-Methods"]
        assert CREDENTIALS not in answer


@pytest.mark.parametrize("origin", OTHERS)
def test_no_other_page_may_read_an_answer(origin: str, api: Api) -> None:
    for path in ("/threads", "/agents", "/api/ai/threads", "/api/signin", "/chat_sessions", "/health", "/openapi.json"):
        assert ALLOW not in preflight("GET", path, origin), path
        assert ALLOW not in api.get(path, headers={"Origin": origin}), path


def test_a_listed_page_reads_answers_and_errors(api: Api, tenant: Tenant) -> None:
    for path, status in (("/threads", 200), ("/threads/thread_x", 404), ("/api/ai/threads", 200)):
        answer = api.get(path, headers={"Origin": ORIGIN})
        assert (answer.status_code, answer[ALLOW]) == (status, ORIGIN)
        assert CREDENTIALS not in answer
        assert "origin" in answer["Vary"].lower()
        exposed = answer["Access-Control-Expose-Headers"].split(", ")
        assert {"etag", "ratelimit", "retry-after", "location"} <= set(exposed)


@pytest.mark.parametrize("header", ["authorization", "x-api-key", "idempotency-key", "if-none-match", "x-end-user"])
def test_the_headers_that_clients_send_are_allowed(header: str, db: None) -> None:
    assert header in preflight("POST", "/threads", ORIGIN, header)["Access-Control-Allow-Headers"]


def test_the_console_and_its_forms_are_for_no_page(db: None) -> None:
    assert ALLOW not in preflight("POST", "/admin/login/", ORIGIN)


@pytest.mark.django_db
def test_an_origin_that_is_none_is_refused_and_no_fault_of_ours() -> None:
    body = {"username": "somebody", "password": "sample"}
    for path in ("/api/signup", "/api/signin"):
        answer = Api().post(path, body, headers={"Origin": "http://[::1"})
        assert answer.status_code == 403, (path, answer.content)
