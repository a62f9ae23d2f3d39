"""A new SECRET_KEY, with the old one among SECRET_KEY_FALLBACKS: what was signed or sealed stays good."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.conftest import Api, Tenant, access_token
from threadhub.lib import sealed
from threadhub.workspaces.models import User

pytestmark = pytest.mark.django_db


@pytest.fixture
def rotate(settings: Any) -> Callable[..., None]:
    def to_new(*, keep_old: bool = True) -> None:
        settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY] if keep_old else []
        settings.SECRET_KEY = "another key of the tests, as good as the first"

    return to_new


def test_people_stay_signed_in(alice: User, rotate: Callable[..., None]) -> None:
    person = Api(access_token(alice))
    rotate()
    assert person.get("/threads").status_code == 200
    rotate(keep_old=False)
    assert person.get("/threads").status_code == 401


def test_visitors_stay_and_their_refresh_is_watched(tenant: Tenant, api: Api, rotate: Callable[..., None]) -> None:
    opened = api.post("/chat_sessions", {"agent_id": tenant.agent.wire_id, "external_ref": "v"}).json()
    where = f"/chat_sessions/{opened['id']}"
    rotate()
    assert Api(opened["chat_token"]).get(where).status_code == 200
    renewed = Api().post(f"{where}/refresh", {"refresh_token": opened["refresh_token"]})
    assert renewed.status_code == 200
    assert Api(renewed.json()["chat_token"]).get(where).status_code == 200


def test_what_was_sealed_is_opened(rotate: Callable[..., None]) -> None:
    kept = sealed.seal(b"secret")
    rotate()
    assert sealed.unseal(kept) == b"secret"
    assert sealed.unseal(sealed.seal(b"new")) == b"new"
    rotate(keep_old=False)
    with pytest.raises(sealed.Unreadable):
        sealed.unseal(kept)


def test_the_console_stays_signed_in(alice: User, client: Any, rotate: Callable[..., None]) -> None:
    User.objects.filter(pk=alice.pk).update(is_staff=True)
    client.force_login(User.objects.get(pk=alice.pk))
    rotate()
    assert client.get("/admin/").status_code == 200
