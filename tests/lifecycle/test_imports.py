"""Imports of own files: what comes in is what went out, and twice is once."""

import json
import shutil
from datetime import timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.conftest import Tenant
from tests.lifecycle.bundled import rows
from tests.lifecycle.conftest import old_thread, policy, sweep
from tests.lifecycle.persons import erase
from tests.lifecycle.transfers import NOW, bring_in, export, remove_all, whole_thread
from threadhub.lib import ids
from threads import branches
from threads.actions.messages import Draft, append
from threads.attachments import Upload
from threads.lifecycle import acts
from threads.lifecycle.importing.refusal import ImportRefused
from threads.models import Attachment, Message, Run, Summary, Thread, Tombstone


class TestRoundTrip:
    def test_a_thread_with_everything_comes_back_as_it_was(self, tenant: Tenant) -> None:
        thread = whole_thread(tenant)
        before, data = rows(thread), export(tenant)
        remove_all(tenant)
        assert Thread.objects.count() == 0
        done = bring_in(tenant, data)
        assert (done.threads, done.messages, dict(done.skipped)) == ([thread.pk], 6, {})
        assert rows(thread) == before
        assert export(tenant) == data
        with Attachment.objects.get().file.open("rb") as file:
            assert file.read() == b"file"

    def test_twice_adds_nothing(self, tenant: Tenant) -> None:
        thread = whole_thread(tenant)
        data = export(tenant)
        before = rows(thread)
        assert dict(bring_in(tenant, data).skipped) == {"present": 1}
        remove_all(tenant)
        bring_in(tenant, data)
        assert dict(bring_in(tenant, data).skipped) == {"present": 1}
        assert rows(thread) == before

    def test_into_another_workspace_ids_are_made_anew_and_are_the_same_each_time(
        self, tenant: Tenant, other_tenant: Tenant
    ) -> None:
        thread = whole_thread(tenant)
        data = export(tenant)
        with pytest.raises(ImportRefused, match="agent"):
            bring_in(other_tenant, data)
        assert Thread.objects.count() == 1
        done = bring_in(other_tenant, data, agent_id=other_tenant.agent.pk)
        assert dict(bring_in(other_tenant, data, agent_id=other_tenant.agent.pk).skipped) == {"present": 1}
        (copy,) = Thread.objects.filter(workspace=other_tenant.workspace)
        assert done.threads == [copy.pk] != [thread.pk]
        assert (copy.title, copy.metadata, copy.path) == (thread.title, thread.metadata, thread.path)
        told = [(m.position, m.content, m.created_at) for m in Message.objects.of_all_branches(thread)]
        assert [(m.position, m.content, m.created_at) for m in Message.objects.of_all_branches(copy)] == told
        run = Run.objects.get(thread=copy)
        assert Message.objects.filter(thread=copy, pk=run.answer_id).exists()
        first = export(other_tenant)
        remove_all(other_tenant)
        bring_in(other_tenant, first)
        assert export(other_tenant) == first

    def test_archived_threads_are_exported_from_their_bundle(self, tenant: Tenant) -> None:
        thread = whole_thread(tenant)
        live = export(tenant)
        acts.archive(actor=tenant.actor, thread=thread, now=NOW())
        assert export(tenant) == live

    def test_no_policy_takes_it_the_same_night(self, tenant: Tenant) -> None:
        thread = old_thread(tenant, 500)
        data = export(tenant)
        remove_all(tenant)
        bring_in(tenant, data)
        policy(tenant)
        assert dict(sweep(tenant).skips) == {"exempt": 1}
        assert sweep(tenant, after=timedelta(days=8), brake=False).taken == 1
        assert Tombstone.objects.get().thread_id == thread.pk
        bring_in(tenant, data)  # purged once, asked for again
        assert sweep(tenant, after=timedelta(days=8), brake=False).taken == 1

    def test_a_dry_run_writes_nothing(self, tenant: Tenant) -> None:
        whole_thread(tenant)
        data = export(tenant)
        remove_all(tenant)
        assert len(bring_in(tenant, data, dry_run=True).threads) == 1
        assert (Thread.objects.count(), Message.objects.count(), Attachment.objects.count()) == (0, 0, 0)


texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=40)
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)
calls = st.lists(
    st.fixed_dictionaries({"id": texts, "name": texts, "arguments": st.dictionaries(texts, values, max_size=2)}),
    min_size=1,
    max_size=2,
)
drafts = st.one_of(
    st.builds(Draft, role=st.sampled_from(["user", "system"]), content=texts, name=st.none() | texts),
    st.builds(Draft, role=st.just("assistant"), content=st.none() | texts, tool_calls=calls),
    st.builds(Draft, role=st.just("tool"), tool_call_id=texts, tool_result=values.filter(lambda v: v is not None)),
    st.builds(
        Draft,
        role=st.just("user"),
        content=texts,
        uploads=st.lists(st.builds(Upload, texts, st.just("text/plain"), st.binary(max_size=50)), max_size=2),
    ),
)
some_threads = st.lists(
    st.tuples(st.lists(drafts, max_size=5), st.integers(0, 5), st.dictionaries(texts, values, max_size=2), texts),
    min_size=1,
    max_size=3,
)


@given(wanted=some_threads)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_goes_out_comes_back(tenant: Tenant, wanted: list[Any]) -> None:
    Thread.objects.all().delete()
    for said, fork, metadata, title in wanted:
        thread = old_thread(tenant, 1, messages=0, metadata=metadata, title=title)
        append(actor=tenant.actor, thread=thread, drafts=[Draft(**{**vars_of(each), "id": ids.new()}) for each in said])
        if 0 < fork <= len(said):
            locked = Thread.objects.select_for_update().get(pk=thread.pk)
            branches.fork(thread=locked, before=fork, actor=tenant.actor, now=NOW())
            append(actor=tenant.actor, thread=locked, drafts=[Draft(role="user", content="else")])
    data = export(tenant)
    remove_all(tenant)
    bring_in(tenant, data)
    assert export(tenant) == data
    remove_all(tenant)


def vars_of(draft: Draft) -> dict[str, Any]:
    return {name: getattr(draft, name) for name in Draft.__dataclass_fields__}


def test_who_was_erased_stays_erased(tenant: Tenant, other_tenant: Tenant) -> None:
    old_thread(tenant, external_ref="gone")
    kept = old_thread(tenant, external_ref="kept")
    data = export(tenant)
    erase(tenant, "external_ref", "gone")
    remove_all(tenant)
    done = bring_in(tenant, data)
    assert (done.threads, dict(done.skipped)) == ([kept.pk], {"erased": 1})
    Tombstone.objects.all().delete()
    assert dict(bring_in(tenant, data).skipped) == {"erased": 1, "present": 1}


def test_the_command(tenant: Tenant, tmp_path: Path) -> None:
    old_thread(tenant)
    (tmp_path / "a.zip").write_bytes(export(tenant))
    remove_all(tenant)
    workspace = f"--workspace={tenant.workspace.wire_id}"

    def run(*options: str) -> Any:
        out = StringIO()
        call_command("import_threads", *options, "--json", stdout=out, stderr=StringIO())
        return json.loads(out.getvalue())

    def code(*options: str) -> int:
        with pytest.raises(CommandError) as ended:
            call_command("import_threads", *options, stdout=StringIO(), stderr=StringIO())
        return int(ended.value.returncode)

    assert code(f"{tmp_path}/a.zip", "--yes") == 2
    assert code(f"{tmp_path}/none.zip", workspace, "--yes") == 2
    assert code(f"{tmp_path}/a.zip", workspace) == 2
    assert run(f"{tmp_path}/a.zip", workspace, "--dry-run")["threads"] == 1
    assert Thread.objects.count() == 0
    assert run(f"{tmp_path}/a.zip", workspace, "--yes") == {"threads": 1, "messages": 3, "skipped": {}}
    (tmp_path / "b.zip").write_bytes(b"no zip")
    assert code(f"{tmp_path}/b.zip", workspace, "--yes") == 4
    shutil.rmtree(tmp_path)


def test_summaries_come_along(tenant: Tenant) -> None:
    whole_thread(tenant)
    data = export(tenant)
    remove_all(tenant)
    bring_in(tenant, data)
    assert Summary.objects.get().text == "s"
