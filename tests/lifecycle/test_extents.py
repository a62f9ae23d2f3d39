"""A plan says of each action, policy and agent how many threads, between which moments, and how many bytes."""

from datetime import timedelta

from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from tests.conftest import Tenant
from tests.lifecycle.conftest import old_thread, policy
from threadhub.agents import configure
from threads.actions.messages import Draft, append
from threads.attachments import Upload
from threads.lifecycle import acts, candidates, kept_plan, plan, system_policies
from threads.lifecycle.candidates import Selection
from threads.lifecycle.extent import Extent
from threads.lifecycle.plan import Plan
from threads.models import BundledThread, Message, Thread

MOMENTS = st.datetimes(timezones=st.just(timezone.get_fixed_timezone(0)))
EXTENTS = st.builds(Extent, st.integers(0, 2**50), st.none() | MOMENTS, st.none() | MOMENTS)


def planned(tenant: Tenant) -> Plan:
    return plan.make(selection=Selection(workspace_id=tenant.workspace.pk), cutoff=candidates.database_now())


def text_of(*threads: Thread) -> int:
    contents = Message.objects.filter(thread__in=threads).values_list("content", flat=True)
    return sum(len((content or "").encode()) for content in contents)


def extent(*threads: Thread, size: int) -> Extent:
    moments = sorted(thread.last_activity_at or thread.created_at for thread in threads)
    return Extent(size, moments[0], moments[-1])


def test_each_part_has_its_own(tenant: Tenant) -> None:
    other = configure.create(actor=tenant.actor, name="Other", provider="echo")
    first, second, legal = old_thread(tenant, 300), old_thread(tenant, 200), old_thread(tenant, 100, external_ref="l-1")
    Thread.objects.filter(pk=second.pk).update(agent_id=other.pk)
    purging, archiving = policy(tenant, "purge", external_ref_prefix="l-"), policy(tenant, "archive")
    made = planned(tenant)
    assert dict(made.actions) == {"archive": 2, "purge": 1}
    assert made.action_extents == {
        "archive": extent(first, second, size=text_of(first, second)),
        "purge": extent(legal, size=text_of(legal)),
    }
    assert made.agent_extents == {
        tenant.agent.pk: extent(first, legal, size=text_of(first, legal)),
        other.pk: extent(second, size=text_of(second)),
    }
    assert made.shares[purging.pk].action_extents == {"purge": extent(legal, size=text_of(legal))}
    assert made.shares[archiving.pk].agent_extents[other.pk] == extent(second, size=text_of(second))
    assert (made.size, made.oldest) == (text_of(first, second, legal), first.last_activity_at)


def test_bytes_are_those_of_text_and_files_and_in_a_bundle_as_packed(tenant: Tenant) -> None:
    thread, archived, empty = old_thread(tenant), old_thread(tenant), old_thread(tenant, messages=0)
    file = Upload("a.txt", "text/plain", "Grüße".encode())
    (said,) = append(
        actor=tenant.actor, thread=thread, drafts=[Draft(role="user", content="ä", kind="document", uploads=[file])]
    )
    Thread.objects.filter(pk=thread.pk).update(last_activity_at=thread.last_activity_at)
    acts.archive(actor=tenant.actor, thread=archived, now=timezone.now())
    policy(tenant, "purge", 90, counted_from="created")
    made = planned(tenant)
    packed = sum(frame[1] for frame in BundledThread.objects.get().frames)
    assert (made.total, packed > 0, said.content) == (3, True, "ä")
    assert made.size == text_of(thread) + len(file.data) + packed
    assert made.agent_extents[tenant.agent.pk].size == made.action_extents["purge"].size == made.size
    assert empty.pk in made.sample


def test_of_several_workspaces_they_are_of_all(tenant: Tenant, other_tenant: Tenant) -> None:
    mine, theirs = old_thread(tenant, 300), old_thread(other_tenant, 200)
    made = system_policies.create(actor=tenant.actor, now=timezone.now(), action="archive", days=30)
    effect = system_policies.count(policy=made, cutoff=candidates.database_now())
    assert effect.share.action_extents == {"archive": extent(mine, theirs, size=text_of(mine, theirs))}
    assert effect.share.agent_extents == {
        tenant.agent.pk: extent(mine, size=text_of(mine)),
        other_tenant.agent.pk: extent(theirs, size=text_of(theirs)),
    }
    assert kept_plan.recall_effect(kept_plan.keep_effect(effect)) == effect


def test_what_an_older_version_counted_has_none(tenant: Tenant) -> None:
    old_thread(tenant)
    policy(tenant, "archive")
    made = planned(tenant)
    kept = kept_plan.keep(made)
    for part in (kept, *kept["shares"].values()):
        del part["action_extents"], part["agent_extents"]
    found = kept_plan.recall(workspace_id=tenant.workspace.pk, cutoff=made.cutoff, kept=kept)
    assert (found.actions, found.action_extents, found.agent_extents) == (made.actions, {}, {})
    assert found.as_json() == made.as_json()


@given(st.lists(EXTENTS, max_size=6))
def test_the_extent_of_all_is_that_of_the_extents(parts: list[Extent]) -> None:
    whole = Extent()
    for part in parts:
        whole.cover(Extent.of_list(part.as_list()))
    assert whole.size == sum(part.size for part in parts)
    assert whole.oldest == min((part.oldest for part in parts if part.oldest), default=None)
    assert whole.newest == max((part.newest for part in parts if part.newest), default=None)


def test_a_thread_without_a_moment_leaves_it_as_it_is() -> None:
    reached, now = Extent(), timezone.now()
    for moment in (None, now, now - timedelta(microseconds=1), None):
        reached.reach(moment)
    assert (reached.oldest, reached.newest) == (now - timedelta(microseconds=1), now)
