"""Addresses of no dialect's own: the API's description, the health check, and those that nothing answers to."""

from typing import Any

import pytest
from django.test import Client

from tests.conftest import Api

PROBLEM = "application/problem+json"


def test_the_description_is_json(client: Client) -> None:
    for accept in ("*/*", "application/json", "text/html"):
        response = client.get("/openapi.json", headers={"accept": accept})
        assert response["Content-Type"].split(";")[0] in ("application/json", "application/vnd.oai.openapi+json")
        assert "/threads" in response.json()["paths"]


@pytest.mark.parametrize("path", ["/nothing", "/thread", "/agent/x", "/openapi.json/x", "/docsx"])
@pytest.mark.parametrize("method", ["get", "post", "put", "options"])
def test_an_unknown_address_is_a_problem_of_the_native_dialect(api: Api, method: str, path: str) -> None:
    response: Any = getattr(api, method)(path)
    assert (response.status_code, response["Content-Type"]) == (404, PROBLEM)
    assert response.json()["code"] == "not_found"


@pytest.mark.parametrize("path", ["/docs", "/openapi.json", "/health"])
@pytest.mark.parametrize("method", ["options", "post", "delete"])
def test_pages_are_only_read(path: str, method: str) -> None:
    client = Client(enforce_csrf_checks=True)
    response = client.generic(method.upper(), path)
    assert (response.status_code, response["Content-Type"]) == (405, PROBLEM)


def test_the_root_leads_to_the_description(client: Client) -> None:
    response = client.get("/")
    assert (response.status_code, response["Location"]) == (302, "/docs")


def test_the_console_keeps_its_own_pages(client: Client) -> None:
    assert client.get("/admin/login/x")["Content-Type"].startswith("text/html")
