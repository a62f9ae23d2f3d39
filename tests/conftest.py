"""The people of the tests, and how they ask. alice is a member, victor a viewer, mallory of another workspace."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from django.db.backends.postgresql.operations import DatabaseOperations
from django.test import Client
from django.utils import timezone
from procrastinate.contrib.django import app as procrastinate_app

from tests.browser import keep_pictures
from tests.hub import hub, other_workspace  # noqa: F401  fixtures
from threadhub.agents import configure
from threadhub.agents.builtin_tools import BUILTIN_TOOLS
from threadhub.agents.models import Agent, Tool
from threadhub.isolation import scope
from threadhub.workspaces import actor as actors
from threadhub.workspaces import keys, memberships, sign_in
from threadhub.workspaces.actor import Actor
from threadhub.workspaces.models import User, Workspace
from threadhub.workspaces.permissions import Role

PASSWORD = "correct horse battery staple"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--thorough",
        action="store_true",
        help="more malformed requests, more and new examples, every payload: minutes",
    )
    parser.addoption("--pictures", type=Path, help="a directory for what each browser shows at the end of a test")


def pytest_configure(config: pytest.Config) -> None:
    """A run looks at the same examples as the one before it; a thorough one at new ones."""
    hypothesis.settings.register_profile("same", derandomize=True)
    hypothesis.settings.load_profile("default" if config.getoption("--thorough") else "same")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Function) -> Iterator[None]:
    """Whether or not the test passes, its pages are kept as pictures where these are wanted."""
    try:
        yield
    finally:
        if directory := item.config.getoption("--pictures"):
            keep_pictures(directory, item)


@dataclass(frozen=True)
class Tenant:
    """A workspace with an agent and a key that sees all of it."""

    workspace: Workspace
    owner: User
    agent: Agent
    key: str

    @property
    def actor(self) -> Actor:
        return keys.authenticate(secret=self.key, now=timezone.now())


def make_user(username: str, workspace: Workspace, role: Role) -> User:
    user = User.objects.create_user(username, password=PASSWORD, email=f"{username}@example.org")
    memberships.join(workspace=workspace, user=user, role=role)
    return user


def make_tenant(name: str) -> Tenant:
    workspace = Workspace.objects.create(name=name)
    owner = make_user(f"owner of {name}", workspace, Role.OWNER)
    tools = [Tool.objects.create(workspace=workspace, name=tool).pk for tool in BUILTIN_TOOLS]
    agent = configure.create(actor=actors.system(workspace.pk), name="Echo", provider="echo", tools=tools)
    _, key = keys.create(workspace=workspace, user=owner, name="test")
    return Tenant(workspace, owner, agent, key)


@contextmanager
def keeping_scope(test: str) -> Iterator[None]:
    """Fails, naming the test, when what runs inside leaves another isolation scope than it found; puts that back.

    Else the tests that follow in the same process would see more rows, or fewer, than the code would anywhere else.
    """
    found = scope.current()
    yield
    left = scope.current()
    if left != found:
        scope._current.set(found)
        pytest.fail(f"{test} found the scope {found}, and left {left}", pytrace=False)


@pytest.fixture(autouse=True)
def _the_scope_stays(request: pytest.FixtureRequest) -> Iterator[None]:
    with keeping_scope(request.node.nodeid):
        yield


@pytest.fixture(autouse=True, scope="session")
def _every_table_is_emptied_between_tests() -> Iterator[None]:
    """Django empties the tables after a test with real transactions: not the queue's, which are no models of its own;
    and not the audit trail, which refuses that, as it should."""
    original = DatabaseOperations.execute_sql_flush
    queue = "TRUNCATE procrastinate_jobs, procrastinate_workers CASCADE"

    def flush(self: Any, sql_list: list[str]) -> None:
        original(self, ["SET LOCAL session_replication_role = replica", *sql_list, queue])

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(DatabaseOperations, "execute_sql_flush", flush)
        yield


@pytest.fixture
def tenant(db: None) -> Tenant:
    return make_tenant("acme")


@pytest.fixture
def other_tenant(db: None) -> Tenant:
    """mallory's: nothing of it may ever show in `tenant`, nor the other way round."""
    return make_tenant("evil")


@pytest.fixture
def alice(tenant: Tenant) -> User:
    return make_user("alice", tenant.workspace, Role.MEMBER)


@pytest.fixture
def victor(tenant: Tenant) -> User:
    return make_user("victor", tenant.workspace, Role.VIEWER)


@pytest.fixture
def mallory(other_tenant: Tenant) -> User:
    return make_user("mallory", other_tenant.workspace, Role.OWNER)


class Api(Client):
    """Django's test client that sends a bearer token and JSON bodies: `api.post("/threads", {...})`."""

    def __init__(self, token: str | None = None) -> None:
        headers = {"Authorization": f"Bearer {token}"} if token else None
        super().__init__(raise_request_exception=False, headers=headers)

    def generic(
        self, method: str, path: str, data: Any = "", content_type: str = "application/json", **extra: Any
    ) -> Any:
        return super().generic(method, path, data, content_type, **extra)

    def post(self, path: str, data: Any = None, content_type: str = "application/json", **extra: Any) -> Any:
        return super().post(path, {} if data is None else data, content_type=content_type, **extra)

    def patch(self, path: str, data: Any = "", content_type: str = "application/json", **extra: Any) -> Any:
        return super().patch(path, data, content_type=content_type, **extra)


def access_token(user: User) -> str:
    return sign_in.issue(user=user, workspace_id=None, now=timezone.now()).access_token


@pytest.fixture
def api(tenant: Tenant) -> Api:
    """Asks with the workspace's key."""
    return Api(tenant.key)


@pytest.fixture
def as_user() -> Any:
    """`as_user(alice)` asks with alice's access token."""
    return lambda user: Api(access_token(user))


@pytest.fixture
def worker(transactional_db: None) -> Iterator[None]:
    """A real worker beside the test, on the test's database: runs are executed as in production."""
    from threadhub.worker import run_worker

    ready: threading.Event = threading.Event()
    loop = asyncio.new_event_loop()
    task: list[asyncio.Task[None]] = []

    def work() -> None:
        asyncio.set_event_loop(loop)
        with scope.nowhere():
            task.append(loop.create_task(run_worker(concurrency=8)))
        loop.call_soon(ready.set)
        try:
            loop.run_until_complete(task[0])
        except asyncio.CancelledError:
            pass
        finally:
            loop.close()

    thread = threading.Thread(target=work, name="worker")
    thread.start()
    ready.wait(10)
    yield
    loop.call_soon_threadsafe(task[0].cancel)
    thread.join(20)
    assert not thread.is_alive(), "the worker did not stop"
    assert procrastinate_app is not None
