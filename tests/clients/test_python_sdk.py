"""PyPI `qelos-sdk`, unmodified: its thread calls, authenticated in every way it has."""

from typing import Any

import pytest
from qelos_sdk import QelosAPIError, QelosSDK
from qelos_sdk.administrator import QelosAdministratorSDK
from qelos_sdk.types import QelosSDKOptions

from tests.clients import python_sdk, seed_texts
from tests.clients.shapes import differences
from tests.hub import Hub

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.usefixtures("one_certificate"),
]

NO_THREAD = "thread_01jaaaaaaaaaaaaaaaaaaaaaaa"
# The client's own sentence for any 4xx where it has no token to refresh.
CANNOT_REFRESH = "could not able to refresh token"


def ids(threads: list[dict[str, Any]]) -> list[str]:
    return [thread["_id"] for thread in threads]


async def create(sdk: QelosSDK, hub: Hub, *titles: str) -> list[str]:
    """Threads with these titles, one after the other; their ids."""
    made = [await sdk.ai.threads.create({"integration": hub.agent_id, "title": title}) for title in titles]
    return ids(made)


async def failure(sdk: QelosSDK, call: Any) -> str:
    """The message of the call's error; `force_refresh` hides it where there is nothing to refresh."""
    with pytest.raises(QelosAPIError) as raised:
        await call
    if sdk._ql_options.force_refresh and sdk.authentication.is_api_token_auth:
        assert str(raised.value) == CANNOT_REFRESH
        return ""
    return str(raised.value)


async def test_create_answers_as_the_seed_prints(sdk: QelosSDK, hub: Hub) -> None:
    thread = await sdk.ai.threads.create({"integration": hub.agent_id, "title": "Customer Support Chat"})
    assert differences(thread, seed_texts.ai_response("Create Thread")) == []
    assert thread["integration"] == hub.agent_id
    assert thread["title"] == "Customer Support Chat"
    assert (thread["messages"], thread["messageSummaries"]) == ([], [])
    assert thread["workspace"] == hub.workspace_id


async def test_create_needs_no_title(sdk: QelosSDK, hub: Hub) -> None:
    thread = await sdk.ai.threads.create({"integration": hub.agent_id})
    assert thread.get("title") is None
    assert (await sdk.ai.threads.get_one(thread["_id"]))["_id"] == thread["_id"]


async def test_get_one_reads_what_create_made(sdk: QelosSDK, hub: Hub) -> None:
    made = await sdk.ai.threads.create({"integration": hub.agent_id, "title": "Ünïcode ✓"})
    read = await sdk.ai.threads.get_one(made["_id"])
    assert read == {**made, "updated": read["updated"]}


async def test_list_answers_as_the_seed_prints(sdk: QelosSDK, hub: Hub) -> None:
    await create(sdk, hub, "Listed")
    threads = await sdk.ai.threads.list()
    assert isinstance(threads, list)
    assert differences(threads[:1], seed_texts.ai_response("List Threads")) == []
    assert threads[0]["title"] == "Listed"
    assert all(thread["messages"] == [] for thread in threads)


async def test_list_takes_limit_and_page(sdk: QelosSDK, hub: Hub) -> None:
    made = await create(sdk, hub, "one", "two", "three")
    pages = [await sdk.ai.threads.list({"limit": 2, "page": page, "sort": "-created"}) for page in (1, 2)]
    assert len(pages[0]) == 2
    assert ids(pages[0] + pages[1])[:3] == made[::-1]
    assert await sdk.ai.threads.list({"limit": 2, "page": 100_000}) == []


async def test_list_sorts_by_created_both_ways(sdk: QelosSDK, hub: Hub) -> None:
    made = await create(sdk, hub, "a", "b", "c")
    newest_first = ids(await sdk.ai.threads.list({"sort": "-created", "limit": 100}))
    oldest_first = ids(await sdk.ai.threads.list({"sort": "created", "limit": 100, "integration": hub.agent_id}))
    assert newest_first[:3] == made[::-1]
    assert [each for each in oldest_first if each in newest_first] == [
        each for each in newest_first[::-1] if each in oldest_first
    ]


async def test_list_puts_the_last_updated_first(sdk: QelosSDK, hub: Hub) -> None:
    older, newer = await create(sdk, hub, "older", "newer")
    await sdk.ai.chat.chat_in_thread(hub.agent_id, older, {"messages": [{"role": "user", "content": "Wake up"}]})
    assert ids(await sdk.ai.threads.list({"limit": 2})) == [older, newer]
    assert ids(await sdk.ai.threads.list({"limit": 2, "sort": "-updated"})) == [older, newer]


async def test_list_filters_by_integration(sdk: QelosSDK, hub: Hub, other_workspace: Hub) -> None:
    (made,) = await create(sdk, hub, "Filtered")
    assert made in ids(await sdk.ai.threads.list({"integration": hub.agent_id}))
    assert await sdk.ai.threads.list({"integration": other_workspace.agent_id}) == []
    assert await sdk.ai.threads.list({"integration": "agent_of_nobody"}) == []


async def test_list_filters_by_user_and_workspace(sdk: QelosSDK, hub: Hub, other_workspace: Hub) -> None:
    thread = await sdk.ai.threads.create({"integration": hub.agent_id})
    mine = await sdk.ai.threads.list({"user": thread["user"], "workspace": thread["workspace"]})
    assert thread["_id"] in ids(mine)
    assert {each["user"] for each in mine} == {thread["user"]}
    assert await sdk.ai.threads.list({"workspace": other_workspace.workspace_id}) == []
    assert await sdk.ai.threads.list({"user": "user_of_nobody"}) == []


async def test_delete_is_for_good(sdk: QelosSDK, hub: Hub) -> None:
    (made,) = await create(sdk, hub, "Short-lived")
    assert await sdk.ai.threads.delete(made) == {"success": True}
    assert made not in ids(await sdk.ai.threads.list({"limit": 100}))
    assert await failure(sdk, sdk.ai.threads.get_one(made)) in ("", "Thread not found.", "Thread not found")
    assert await failure(sdk, sdk.ai.threads.delete(made)) in ("", "Thread not found.", "Thread not found")


async def test_the_message_of_an_error_is_the_servers(by_key: QelosSDK, other_workspace: Hub) -> None:
    threads = by_key.ai.threads
    said = {
        "absent": await failure(by_key, threads.get_one(NO_THREAD)),
        "no id at all": await failure(by_key, threads.get_one("66d0c0ffee")),
        "no such integration": await failure(by_key, threads.create({"integration": "nonsense"})),
        "of another workspace": await failure(by_key, threads.create({"integration": other_workspace.agent_id})),
        "no integration": await failure(by_key, threads.create({"title": "Lost"})),
    }
    assert said["absent"].rstrip(".") == "Thread not found"
    assert said["no id at all"] == said["absent"]
    assert said["no such integration"].rstrip(".") == "Integration not found"
    assert said["of another workspace"] == said["no such integration"]
    assert "integration" in said["no integration"].lower()


async def test_a_thread_of_another_workspace_is_not_there(by_key: QelosSDK, other_workspace: Hub) -> None:
    theirs = other_workspace.post("/api/ai/threads", json={"integration": other_workspace.agent_id}).json()["_id"]
    assert await failure(by_key, by_key.ai.threads.get_one(theirs)) == await failure(
        by_key, by_key.ai.threads.get_one(NO_THREAD)
    )
    assert theirs not in ids(await by_key.ai.threads.list({"limit": 100}))


@pytest.mark.parametrize(
    "options",
    [
        {"api_token": "ql_" + "0" * 64},
        {"api_token": "nonsense"},
        {"access_token": "eyJhbGciOiJIUzI1NiJ9.e30.x"},
    ],
    ids=["another vendor's key", "no key", "a forged access token"],
)
async def test_bad_credentials_say_so(hub: Hub, options: dict[str, Any]) -> None:
    sdk = QelosSDK(QelosSDKOptions(app_url=hub.url, **options))
    message = await failure(sdk, sdk.ai.threads.list())
    await python_sdk.close(sdk)
    assert "token" in message.lower()


async def test_the_administrator_client_sends_bypass_admin_and_is_understood(hub: Hub) -> None:
    admin = QelosAdministratorSDK(QelosSDKOptions(app_url=hub.url, api_token=hub.api_key))
    thread = await admin.ai.threads.create({"integration": hub.agent_id, "title": "By the administrator"})
    assert ids(await admin.ai.threads.list({"limit": 1, "sort": "-created"})) == [thread["_id"]]
    assert (await admin.ai.threads.get_one(thread["_id"]))["title"] == "By the administrator"
    assert await admin.ai.threads.delete(thread["_id"]) == {"success": True}
    await python_sdk.close(admin)
