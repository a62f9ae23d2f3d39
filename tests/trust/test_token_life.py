"""How long each credential is good, and that its end counts with the very next request, in every process."""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta

import httpx
import pytest
from django.conf import settings
from django.utils import timezone

from chat_sessions import sessions, tokens
from chat_sessions.models import ChatSession
from tests.conftest import Api, Tenant, access_token, make_user
from tests.hub import ROOT, START_SECONDS, STOP_SECONDS, Hub, clean_environment, free_port
from threadhub import audit
from threadhub.workspaces import keys, sign_in
from threadhub.workspaces.models import Membership, User
from threadhub.workspaces.permissions import Role

SECOND = timedelta(seconds=1)


def status(token: str, path: str = "/threads") -> int:
    code: int = Api(token).get(path).status_code
    return code


@pytest.mark.parametrize(("left", "expected"), [(30, 200), (-1, 401)])
def test_an_access_token_lives_as_long_as_it_says(tenant: Tenant, left: int, expected: int) -> None:
    issued = timezone.now() - timedelta(seconds=settings.ACCESS_TOKEN_SECONDS - left)
    token = sign_in.issue(user=tenant.owner, workspace_id=None, now=issued).access_token
    assert status(token) == expected


def test_signing_out_ends_the_access_token_and_no_other_sign_in(tenant: Tenant) -> None:
    here, there = access_token(tenant.owner), access_token(tenant.owner)
    assert Api(here).post("/api/logout").status_code == 200
    assert (status(here), status(there)) == (401, 200)


def test_a_refresh_token_is_good_once_and_its_copy_ends_the_sign_in(tenant: Tenant) -> None:
    now = timezone.now() - 10 * sign_in.REUSE_GRACE
    first = sign_in.issue(user=tenant.owner, workspace_id=None, now=now)
    second = sign_in.refresh(refresh_token=first.refresh_token, now=now)
    assert status(first.access_token) == status(second.access_token) == 200
    with pytest.raises(sign_in.InvalidRefreshToken):  # both tabs at once: refused, and no harm done
        sign_in.refresh(refresh_token=first.refresh_token, now=now + SECOND)
    assert status(second.access_token) == 200
    with pytest.raises(sign_in.InvalidRefreshToken):
        sign_in.refresh(refresh_token=first.refresh_token, now=now + sign_in.REUSE_GRACE + SECOND)
    assert status(second.access_token) == 401
    with pytest.raises(sign_in.InvalidRefreshToken):
        sign_in.refresh(refresh_token=second.refresh_token, now=now + sign_in.REUSE_GRACE + SECOND)


def test_a_refresh_token_ends_on_its_day(tenant: Tenant) -> None:
    now = timezone.now()
    token = sign_in.issue(user=tenant.owner, workspace_id=None, now=now).refresh_token
    with pytest.raises(sign_in.InvalidRefreshToken):
        sign_in.refresh(refresh_token=token, now=now + timedelta(seconds=settings.REFRESH_TOKEN_SECONDS))


def deactivate(user: User) -> None:
    User.objects.filter(pk=user.pk).update(is_active=False)


def leave(user: User) -> None:
    Membership.objects.filter(user=user).delete()


@pytest.mark.parametrize(("happens", "expected"), [(deactivate, 401), (leave, 403)])
def test_who_is_gone_is_gone_with_the_next_request(
    tenant: Tenant, happens: Callable[[User], None], expected: int
) -> None:
    member = make_user("leaver", tenant.workspace, Role.MEMBER)
    token = access_token(member)
    _, key = keys.create(workspace=tenant.workspace, user=member, name="k", kind=keys.ApiKey.Kind.PERSONAL)
    assert (status(token), status(key)) == (200, 200)
    happens(member)
    assert (status(token), status(key)) == (expected, expected)


def test_a_key_expires_to_the_second(tenant: Tenant) -> None:
    now = timezone.now()
    _, secret = keys.create(
        workspace=tenant.workspace, user=tenant.owner, name="k", expires_at=now + timedelta(hours=1)
    )
    assert keys.authenticate(secret=secret, now=now + timedelta(hours=1) - SECOND)
    with pytest.raises(keys.InvalidKey):
        keys.authenticate(secret=secret, now=now + timedelta(hours=1))


def test_a_revoked_key_is_refused_at_once(tenant: Tenant) -> None:
    key, secret = keys.create(workspace=tenant.workspace, user=tenant.owner, name="k")
    assert status(secret) == 200
    keys.revoke(key=key, now=timezone.now(), by=audit.By("system", tenant.workspace.pk))
    assert status(secret) == 401


def test_a_rotated_keys_old_secret_works_for_the_overlap_only(tenant: Tenant) -> None:
    now = timezone.now()
    key, old = keys.create(workspace=tenant.workspace, user=tenant.owner, name="k")
    _, new = keys.rotate(key=key, overlap=timedelta(minutes=5), now=now)
    for secret in (old, new):
        assert keys.authenticate(secret=secret, now=now + timedelta(minutes=5) - SECOND)
    with pytest.raises(keys.InvalidKey):
        keys.authenticate(secret=old, now=now + timedelta(minutes=5))
    assert keys.authenticate(secret=new, now=now + timedelta(days=1))
    assert (status(old), status(new)) == (200, 200)
    key.refresh_from_db()
    keys.revoke(key=key, now=timezone.now(), by=audit.By("system", tenant.workspace.pk))
    assert (status(old), status(new)) == (401, 401)  # revoked is both, overlap or not


def opened(tenant: Tenant, now: datetime) -> sessions.Opened:
    return sessions.open(actor=tenant.actor, agent_id=tenant.agent.pk, external_ref="visitor", now=now)


def test_a_chat_token_lives_as_long_as_it_says(tenant: Tenant) -> None:
    now = timezone.now()
    made = opened(tenant, now)
    life = timedelta(seconds=settings.CHAT_TOKEN_SECONDS)
    assert tokens.authenticate(chat_token=made.chat_token, now=now + life - 2 * SECOND)
    with pytest.raises(tokens.InvalidChatToken):
        tokens.authenticate(chat_token=made.chat_token, now=now + life)


def test_an_ended_session_ends_its_token_at_once(tenant: Tenant) -> None:
    made = opened(tenant, timezone.now())
    path = f"/chat_sessions/{made.session.wire_id}"
    assert status(made.chat_token, path) == 200
    assert Api(tenant.key).delete(path).status_code == 204
    assert status(made.chat_token, path) == 401
    assert ChatSession.objects.get(pk=made.session.pk).end_reason == ChatSession.EndReason.ENDED


@pytest.fixture
def second_process(hub: Hub) -> Iterator[str]:
    """The address of another web process of the same hub, on a port of its own: who answers is no matter of luck."""
    port = free_port()
    command = [sys.executable, "-m", "threadhub.launch.web", "--port", str(port)]
    environment = {**clean_environment(), "THREADHUB_DATA_DIR": str(hub.data_dir)}
    url = f"http://127.0.0.1:{port}"
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, env=environment) as process:
        try:
            assert within(START_SECONDS, lambda: process.poll() is not None or answers(url)), "it did not start"
            assert process.poll() is None, "it ended"
            yield url
        finally:
            process.terminate()
            process.wait(STOP_SECONDS)


def within(seconds: float, true: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if true():
            return True
        time.sleep(0.05)
    return False


def answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/health", timeout=30, trust_env=False).status_code == 200
    except httpx.TransportError:
        return False


def test_what_is_revoked_in_one_process_is_refused_in_every_other(hub: Hub, second_process: str) -> None:
    """Within a second, be it a key, a visitor or somebody signed in."""
    made = hub.post("/api_keys", json={"name": "short-lived", "scopes": ["read"]})
    assert made.status_code == 201, made.text
    session = hub.post("/chat_sessions", json={"agent_id": hub.agent_id, "external_ref": "leaver"}).json()
    visitor = f"/chat_sessions/{session['id']}"
    body = {"username": hub.username, "password": hub.password, "authType": "oauth"}
    signed_in = hub.post("/api/signin", token="", json=body).json()["payload"]["token"]
    credentials = {made.json()["secret"]: "/threads", session["chat_token"]: visitor, signed_in: "/threads"}

    def there() -> list[int]:
        return [
            httpx.get(
                f"{second_process}{path}", headers={"Authorization": f"Bearer {token}"}, timeout=30, trust_env=False
            ).status_code
            for token, path in credentials.items()
        ]

    assert there() == [200, 200, 200]
    assert hub.delete(f"/api_keys/{made.json()['id']}").status_code == 204
    assert hub.delete(visitor).status_code == 204
    assert hub.post("/api/logout", token=signed_in).status_code == 200
    assert within(1, lambda: there() == [401, 401, 401])
