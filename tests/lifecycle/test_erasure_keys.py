"""Erasures outlive a SECRET_KEY: what was signed and hashed under an old one counts while that one is known."""

from collections.abc import Callable
from typing import Any

import pytest
from django.utils import timezone

from tests.conftest import Tenant
from tests.lifecycle.conftest import old_thread
from threadhub.launch import examination
from threads.lifecycle.erasure import erasures, ledger, proof, replay
from threads.models import Erasure, Thread

REFERENCE = "customer 4711"
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def rotate(settings: Any) -> Callable[..., None]:
    def to_new(*, keep_old: bool = True) -> None:
        settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY] if keep_old else []
        settings.SECRET_KEY = "another key of the tests, as good as the first"

    return to_new


@pytest.fixture
def erased(tenant: Tenant) -> Erasure:
    """Somebody's erasure, done."""
    old_thread(tenant, external_ref=REFERENCE)
    planned = plan(tenant)
    confirm(tenant, planned)
    return erasures.proceed(workspace_id=tenant.workspace.pk, erasure_id=planned.pk)


def plan(tenant: Tenant) -> Erasure:
    actor = erasures.actors.system(tenant.workspace.pk)
    return erasures.plan(actor=actor, kind="external_ref", value=REFERENCE, now=timezone.now())


def confirm(tenant: Tenant, planned: Erasure, code: str | None = None) -> None:
    actor = erasures.actors.system(tenant.workspace.pk)
    code = code or erasures.code_of(tenant.workspace.pk, planned.plan_hash)
    erasures.confirm(actor=actor, erasure=planned, code=code, now=timezone.now())


def come_back(erasure: Erasure, tenant: Tenant) -> Thread:
    """A thread of theirs from before the erasure, as an older backup has it."""
    thread = old_thread(tenant, 100, external_ref=REFERENCE)
    assert erasure.confirmed_at is not None
    assert thread.created_at < erasure.confirmed_at
    return thread


def test_an_old_certificate_still_verifies(erased: Erasure, rotate: Callable[..., None]) -> None:
    rotate()
    assert proof.is_genuine(erased)
    erased.certificate = {**(erased.certificate or {}), "account": "kept"}
    assert not proof.is_genuine(erased)
    erased.refresh_from_db()
    rotate(keep_old=False)
    assert not proof.is_genuine(erased)


def test_who_was_erased_is_still_recognised(tenant: Tenant, erased: Erasure, rotate: Callable[..., None]) -> None:
    rotate()
    thread = come_back(erased, tenant)
    assert ledger.erased(workspace_id=tenant.workspace.pk).has(thread)
    assert not examination.erasures().ok
    again = replay.run_all(workspace_id=tenant.workspace.pk, now=timezone.now())
    assert [each.state for each in again] == ["done"]
    assert not Thread.objects.filter(pk=thread.pk).exists()
    assert {entry.key for entry in ledger.entries(workspace_id=tenant.workspace.pk)} == {erased.key}
    assert examination.erasures().ok


def test_a_code_and_a_list_of_before_are_good(tenant: Tenant, rotate: Callable[..., None]) -> None:
    old_thread(tenant, external_ref=REFERENCE)
    planned, other = plan(tenant), plan(tenant)
    code = erasures.code_of(tenant.workspace.pk, planned.plan_hash)
    rotate()
    confirm(tenant, planned, code)
    done = erasures.proceed(workspace_id=tenant.workspace.pk, erasure_id=planned.pk)
    assert done.state == "done"
    assert proof.is_genuine(done)
    other.refresh_from_db()
    assert other.person is None  # no longer says whom it was about


def test_doctor_says_that_the_key_of_the_ledger_is_gone(
    tenant: Tenant, erased: Erasure, rotate: Callable[..., None]
) -> None:
    rotate(keep_old=False)
    come_back(erased, tenant)
    finding = examination.erasures()
    assert not finding.ok
    assert "SECRET_KEY_FALLBACKS" in finding.detail
