"""Each matcher and scope of a policy, by what a sweep then does: exactly what fits goes, as the preview said."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from tests.conftest import Tenant
from tests.lifecycle.conftest import age, old_thread, policy, sweep
from threadhub import audit
from threadhub.agents import configure
from threads.actions.chat_sessions import open_with_thread
from threads.actions.messages import Draft, append
from threads.lifecycle import policies, system_policies
from threads.models import RetentionPolicy, SystemPolicy, Thread

NOW = timezone.now


@dataclass
class Scene:
    tenant: Tenant
    threads: dict[str, Thread]
    other_agent: Any


@pytest.fixture
def scene(tenant: Tenant) -> Scene:
    """Four threads that differ in everything a policy can ask for. None of them is young."""
    metadata = {"plan": "gold", "tags": ["vip", "de"], "address": {"city": "Bonn"}, "paid": True}
    gold = old_thread(tenant, external_ref="crm-1", metadata=metadata)
    free = old_thread(tenant, external_ref="web-1", metadata={"plan": "free", "tags": ["de"], "paid": 1})
    opened = open_with_thread(actor=tenant.actor, agent_id=tenant.agent.pk, external_ref="crm-2", now=NOW())
    visited = Thread.objects.get(pk=opened.thread.pk)
    append(actor=tenant.actor, thread=visited, drafts=[Draft(role="user", content="hello")])
    age(visited, 100)
    other_agent = configure.create(actor=tenant.actor, name="Other", provider="echo")
    elsewhere = old_thread(tenant)
    Thread.objects.filter(pk=elsewhere.pk).update(agent=other_agent)
    return Scene(tenant, {"gold": gold, "free": free, "visited": visited, "elsewhere": elsewhere}, other_agent)


MATCHERS: list[tuple[dict[str, Any], set[str]]] = [
    ({}, {"gold", "free", "visited", "elsewhere"}),
    ({"metadata": {"plan": "gold"}}, {"gold"}),
    ({"metadata": {"tags": ["de"]}}, {"gold", "free"}),
    ({"metadata": {"tags": ["de", "vip"]}}, {"gold"}),
    ({"metadata": {"address": {"city": "Bonn"}}}, {"gold"}),
    ({"metadata": {"paid": True}}, {"gold"}),
    ({"metadata": {"paid": 1}}, {"free"}),
    ({"metadata": {"plan": "silver"}}, set()),
    ({"origin": "chat_session"}, {"visited"}),
    ({"origin": "direct"}, {"gold", "free", "elsewhere"}),
    ({"external_ref_prefix": "crm-"}, {"gold", "visited"}),
    ({"external_ref_prefix": "CRM-"}, set()),
    ({"external_ref_prefix": "crm-", "origin": "chat_session"}, {"visited"}),
    ({"external_ref_prefix": "web-", "metadata": {"plan": "gold"}}, set()),
]
NAMES = [", ".join(f"{name} {value}" for name, value in terms.items()) or "none" for terms, _ in MATCHERS]


def left(scene: Scene) -> set[str]:
    there = set(Thread.objects.values_list("pk", flat=True))
    return {name for name, thread in scene.threads.items() if thread.pk in there}


def done(scene: Scene, made: RetentionPolicy | SystemPolicy, foreseen: Any, fits: set[str]) -> None:
    """A sweep takes what fits and what the preview said, by the same policy."""
    outcome = sweep(scene.tenant, brake=False)
    expected = {made.pk: len(fits)} if fits else {}
    assert {key: count for key, count in foreseen.items() if count} == expected
    assert {key: count for key, count in outcome.by_policy.items() if count} == expected
    assert left(scene) == scene.threads.keys() - fits


@pytest.mark.parametrize(("terms", "fits"), MATCHERS, ids=NAMES)
def test_a_policy_takes_what_it_matches(scene: Scene, terms: dict[str, Any], fits: set[str]) -> None:
    made = policy(scene.tenant, **terms)
    done(scene, made, policies.preview(actor=scene.tenant.actor, policy=made).by_policy, fits)


@pytest.mark.parametrize(("scope", "fits"), [("agent", {"elsewhere"}), ("thread", {"free"})])
def test_a_scope_is_all_that_it_takes(scene: Scene, scope: str, fits: set[str]) -> None:
    target = scene.other_agent.pk if scope == "agent" else scene.threads["free"].pk
    made = policy(scene.tenant, scope=scope, target_id=target)
    done(scene, made, policies.preview(actor=scene.tenant.actor, policy=made).by_policy, fits)


@pytest.mark.parametrize(("terms", "fits"), MATCHERS, ids=NAMES)
def test_a_policy_of_the_installation_takes_the_same(scene: Scene, terms: dict[str, Any], fits: set[str]) -> None:
    by = audit.By("command")
    made = system_policies.create(actor=by, now=NOW(), action="purge", days=90, **terms)
    effect = system_policies.preview(actor=by, policy=made)
    made.refresh_from_db()
    system_policies.enable(actor=by, policy=made, now=NOW() - timedelta(days=30))
    done(scene, made, {made.pk: effect.share.total}, fits)


@pytest.mark.parametrize(("terms", "fits"), MATCHERS, ids=NAMES)
def test_a_policy_that_retains_keeps_what_it_matches(scene: Scene, terms: dict[str, Any], fits: set[str]) -> None:
    policy(scene.tenant, "retain", days=365, **terms)
    policy(scene.tenant)
    sweep(scene.tenant, brake=False)
    assert left(scene) == fits


def test_the_more_explicit_of_two_decides(scene: Scene) -> None:
    """The agent's is longer than the workspace's; so its threads stay, those of the other go."""
    policy(scene.tenant, days=30)
    policy(scene.tenant, days=365, scope="agent", target_id=scene.tenant.agent.pk)
    sweep(scene.tenant, brake=False)
    assert left(scene) == {"gold", "free", "visited"}
