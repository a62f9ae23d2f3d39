"""Branches against a model: whatever is done in whatever order, every branch reads as a list that was only ever
copied, cut and appended to."""

from dataclasses import dataclass, field
from typing import Any

import pytest
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.conftest import Tenant
from threads import access, branches, summaries
from threads.actions import messages, threads
from threads.actions.branches import activate
from threads.actions.copy import copy
from threads.actions.messages import Draft
from threads.models import Message, Run, Summary
from threads.runs import again
from threads.runs.start import start

pytestmark = pytest.mark.django_db

STEPS = ("say", "ask", "ask_with_tool", "edit", "regenerate", "switch", "delete", "copy", "summarize")
steps = st.lists(st.tuples(st.sampled_from(STEPS), st.integers(0, 99)), min_size=4, max_size=18)


@dataclass
class Model:
    """Each branch as the positions that it ever had; what every position says; what was deleted."""

    branches: dict[int, list[int]] = field(default_factory=lambda: {1: []})
    origins: dict[int, tuple[int | None, int]] = field(default_factory=lambda: {1: (None, 0)})
    texts: dict[int, str] = field(default_factory=dict)
    deleted: set[int] = field(default_factory=set)
    summaries: dict[tuple[int, int], list[int]] = field(default_factory=dict)
    active: int = 1

    def read(self, number: int) -> list[tuple[int, str]]:
        return [(at, self.texts[at]) for at in self.branches[number] if at not in self.deleted]

    def append(self, text: str) -> None:
        position = len(self.texts) + 1
        self.texts[position] = text
        self.branches[self.active].append(position)

    def home(self, position: int) -> int:
        """The branch that a fork at this position comes from."""
        if position in self.branches[self.active]:
            return self.active
        return min(number for number, path in self.branches.items() if position in path)

    def fork(self, position: int) -> None:
        parent = self.home(position)
        path = [at for at in self.branches[parent] if at < position]
        self.active = max(self.branches) + 1
        self.branches[self.active] = path
        self.origins[self.active] = (parent, path[-1] if path else 0)

    def good(self, number: int) -> set[tuple[int, int]]:
        """The summaries that stand for what this branch says."""
        path = self.branches[number]
        return {
            (first, last)
            for (first, last), covered in self.summaries.items()
            if [at for at in path if first <= at <= last] == covered
        }


class Real:
    """The same steps through the domain."""

    def __init__(self, tenant: Tenant) -> None:
        self.actor = tenant.actor
        self.thread = threads.create(actor=self.actor, agent_id=tenant.agent.pk, now=timezone.now())
        self.model = Model()
        self.said = 0

    def run(self, name: str, number: int) -> None:
        getattr(self, name)(number)
        self.thread.refresh_from_db()

    def say(self, number: int) -> None:
        self._append(self._draft("user"))

    def ask(self, number: int) -> None:
        draft = self._draft("user")
        run = start(actor=self.actor, thread=self.thread, drafts=[draft], now=timezone.now()).run
        self.model.append(draft.content or "")
        self._answer(run)

    def ask_with_tool(self, number: int) -> None:
        draft = self._draft("user")
        run = start(actor=self.actor, thread=self.thread, drafts=[draft], now=timezone.now()).run
        self.model.append(draft.content or "")
        self._answer(run, "assistant", "tool", "assistant")

    def edit(self, number: int) -> None:
        message = self._any(number, role="user")
        if message is None:
            return
        draft = self._draft("user")
        now = timezone.now()
        run = again.edit(actor=self.actor, thread=self.thread, message=message, drafts=[draft], now=now).run
        self.model.fork(message.position)
        self.model.append(draft.content or "")
        self._answer(run)

    def regenerate(self, number: int) -> None:
        message = self._any(number, role="assistant")
        if message is None:
            return
        first = self._all().filter(run_id=message.run_id, position__lte=message.position)[0].position
        before = [at for at, _ in self.model.read(self.model.home(first)) if at < first]
        if not before:
            with pytest.raises(access.NothingAsked):
                again.regenerate(actor=self.actor, thread=self.thread, message=message, now=timezone.now())
            return
        run = again.regenerate(actor=self.actor, thread=self.thread, message=message, now=timezone.now()).run
        self.model.fork(first)
        if number % 3:
            self._answer(run)
        else:  # it failed before it said anything
            Run.objects.filter(pk=run.pk).update(status="failed")

    def switch(self, number: int) -> None:
        to = 1 + number % len(self.model.branches)
        activate(actor=self.actor, thread=self.thread, number=to, now=timezone.now())
        self.model.active = to

    def delete(self, number: int) -> None:
        message = self._any(number)
        if message is None:
            return
        messages.delete(actor=self.actor, thread=self.thread, message=message, now=timezone.now())
        self.model.deleted.add(message.position)
        covering = [ends for ends, covered in self.model.summaries.items() if message.position in covered]
        for ends in covering:
            del self.model.summaries[ends]

    def copy(self, number: int) -> None:
        message = self._any(number)
        if message is None:
            return
        made = copy(actor=self.actor, thread=self.thread, message_id=message.id, now=timezone.now())
        expected = [text for at, text in self.model.read(self.model.home(message.position)) if at <= message.position]
        found = Message.objects.of_thread(made)
        assert list(found.values_list("position", "content")) == list(enumerate(expected, start=1))
        assert (made.message_count, made.last_position, made.path) == (len(expected), len(expected), None)

    def summarize(self, number: int) -> None:
        shown = self.model.read(self.model.active)
        if not shown:
            return
        first, last = sorted((shown[number % len(shown)][0], shown[number // 10 % len(shown)][0]))
        if any(low <= last and high >= first for low, high in self.model.good(self.model.active)):
            return
        self.model.summaries[first, last] = [at for at in self.model.branches[self.model.active] if first <= at <= last]
        own = {"workspace_id": self.thread.workspace_id, "thread": self.thread}
        Summary.objects.create(**own, from_position=first, to_position=last, text="…")

    def check(self) -> None:
        thread, model = self.thread, self.model
        assert thread.last_position == len(model.texts)
        assert thread.branch == model.active
        assert list(Message.objects.of_thread(thread).values_list("position", "content")) == model.read(model.active)
        rows = {branch.number: branch for branch in branches.of_thread(thread)}
        rows = rows or {1: branches.first_of(thread)}
        assert rows.keys() == model.branches.keys()
        told = branches.told(thread=thread, rows=branches.with_last_message(branches.of_thread(thread)))
        assert {each.number for each in told if each.active} <= {model.active}
        for each in told:
            assert each.message_count == len(model.read(each.number))
            assert (each.parent, each.from_position) == model.origins[each.number]
        every = summaries.of_all_branches(thread)
        for number, branch in rows.items():
            read = Message.objects.of_all_branches(thread).on(branch.path).values_list("position", "content")
            assert list(read) == model.read(number)
            good = {(each.from_position, each.to_position) for each in summaries.on(branch.path, every)}
            assert good == model.good(number)

    def _draft(self, role: str, **more: Any) -> Draft:
        self.said += 1
        return Draft(role=role, content=f"{role} {self.said}", **more)

    def _append(self, *drafts: Draft) -> None:
        messages.append(actor=self.actor, thread=self.thread, drafts=drafts)
        for draft in drafts:
            self.model.append(draft.content or "")

    def _answer(self, run: Run, *roles: str) -> None:
        self._append(*[self._draft(role, run_id=run.id) for role in roles or ("assistant",)])
        Run.objects.filter(pk=run.pk).update(status="succeeded")

    def _all(self) -> Any:
        return Message.objects.of_all_branches(self.thread)

    def _any(self, number: int, **having: Any) -> Message | None:
        """A message of whichever branch."""
        found = list(self._all().filter(**having))
        return found[number % len(found)] if found else None


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=steps)
def test_every_branch_reads_as_the_model_has_it(tenant: Tenant, steps: list[tuple[str, int]]) -> None:
    real = Real(tenant)
    for name, number in steps:
        real.run(name, number)
        real.check()
