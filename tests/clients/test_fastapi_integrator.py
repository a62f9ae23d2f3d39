"""PyPI `qelos-integrator-fastapi`, unmodified: an application that lets the hub say who its users are."""

import gc
import json
from collections.abc import AsyncIterator
from typing import Annotated, Any

import httpx
import pytest
from fastapi import Depends, FastAPI, Request
from qelos_integrator_fastapi import (
    QelosConfig,
    QelosRequestContext,
    QelosUser,
    create_qelos_proxy_router,
    get_qelos_user,
    qelos_middleware,
    require_user,
)

from tests.clients.python_sdk import sign_in
from tests.hub import Hub

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.usefixtures("one_certificate"),
    # For each request the integrator opens a dozen clients and closes one of them.
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]


def application(hub: Hub) -> FastAPI:
    """A host application as the integrator's page shows it: who is there, who must be, and the proxy."""
    app = FastAPI()
    # `disable_proxy` only lets the middleware see /api/ too: a browser sends the sign-in cookie nowhere else.
    app.add_middleware(qelos_middleware, app_url=hub.url, disable_proxy=True)

    @app.get("/api/host/who")
    async def who(request: Request) -> dict[str, Any]:
        context: QelosRequestContext = request.state.qelos
        return {"user": context.user, "workspace": context.workspace, "workspaces": context.workspaces}

    @app.get("/api/host/typed")
    async def typed(user: Annotated[QelosUser, Depends(get_qelos_user)]) -> dict[str, Any]:
        return {"id": user.id, "username": user.username, "name": user.full_name}

    @app.get("/api/host/threads")
    async def threads(context: Annotated[QelosRequestContext, Depends(require_user)]) -> list[str]:
        return [thread["_id"] for thread in await context.sdk.ai.threads.list()]

    app.include_router(create_qelos_proxy_router(QelosConfig(app_url=hub.url)))
    return app


@pytest.fixture
async def browser(hub: Hub) -> AsyncIterator[httpx.AsyncClient]:
    """Somebody's browser at the host application; it keeps cookies."""
    transport = httpx.ASGITransport(application(hub))
    async with httpx.AsyncClient(transport=transport, base_url="http://host.example", timeout=60) as client:
        yield client
    gc.collect()  # what the integrator left open goes here, and not in the middle of another test


@pytest.fixture
async def user(browser: httpx.AsyncClient, hub: Hub) -> httpx.AsyncClient:
    """The same browser after a sign-in through the proxy."""
    signed_in = await browser.post("/api/signin", json={"username": hub.username, "password": hub.password})
    assert signed_in.status_code == 200
    assert any(name.startswith("qlt_") for name in browser.cookies)
    return browser


async def test_nobody_is_nobody(browser: httpx.AsyncClient) -> None:
    assert (await browser.get("/api/host/who")).json() == {"user": None, "workspace": None, "workspaces": []}
    assert (await browser.get("/api/host/typed")).status_code == 401


async def test_the_cookie_says_who_it_is(user: httpx.AsyncClient, hub: Hub) -> None:
    seen = (await user.get("/api/host/who")).json()
    assert seen["user"]["username"] == hub.username
    assert seen["workspace"]["_id"] == hub.workspace_id
    assert [each["_id"] for each in seen["workspaces"]] == [hub.workspace_id]
    typed = (await user.get("/api/host/typed")).json()
    assert (typed["id"], typed["username"]) == (seen["user"]["_id"], hub.username)


async def test_an_access_token_says_so_too(browser: httpx.AsyncClient, hub: Hub) -> None:
    headers = {"authorization": f"Bearer {sign_in(hub)['token']}"}
    assert (await browser.get("/api/host/typed", headers=headers)).json()["username"] == hub.username


async def test_threads_are_made_and_answered_through_the_proxy(user: httpx.AsyncClient, hub: Hub) -> None:
    made = await user.post("/api/ai/threads", json={"integration": hub.agent_id})
    assert made.status_code == 201
    thread_id = made.json()["_id"]
    chat = f"/api/ai/{hub.agent_id}/chat-completion/{thread_id}"
    asked = {"messages": [{"role": "user", "content": "Through two doors"}]}
    answered = await user.post(chat, json=asked)
    assert answered.json()["choices"][0]["message"]["content"] == "You said: Through two doors"
    assert thread_id in (await user.get("/api/host/threads")).json()


async def test_a_stream_passes_the_proxy(user: httpx.AsyncClient, hub: Hub) -> None:
    chat = f"/api/ai/{hub.agent_id}/chat-completion?stream=true"
    asked = {"messages": [{"role": "user", "content": "Through two doors"}]}
    async with user.stream("POST", chat, json=asked) as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        lines = [line async for line in response.aiter_lines() if line]
    assert lines[-1] == "data: [DONE]"
    chunks = [json.loads(line.removeprefix("data: ")) for line in lines[:-1] if line.startswith("data: ")]
    assert "".join(chunk.get("content", "") for chunk in chunks) == "You said: Through two doors"


async def test_a_foreign_page_cannot_use_the_cookie(user: httpx.AsyncClient, hub: Hub) -> None:
    headers = {"origin": "https://evil.example"}
    refused = await user.post("/api/ai/threads", json={"integration": hub.agent_id}, headers=headers)
    assert refused.status_code == 403


async def test_signing_out_through_the_proxy_ends_it(user: httpx.AsyncClient) -> None:
    assert (await user.post("/api/logout")).status_code == 200
    assert (await user.get("/api/host/typed")).status_code == 401
