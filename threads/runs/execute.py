"""A worker's work: ask the model, call tools, ask again, until there is an answer."""

import asyncio
import itertools
import logging
import random
from collections.abc import Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from django.conf import settings
from django.utils import timezone

from threadhub.agents import providers
from threadhub.agents.events import Finished, TextDelta, ToolCall, Usage
from threadhub.agents.provider_errors import ProviderError
from threadhub.agents.providers import ModelRequest, Provider
from threadhub.agents.usage import Amount, measured
from threadhub.lib.asynchronous import in_thread
from threads import summaries
from threads.actions.messages import Draft
from threads.models import Message, Run
from threads.runs import answer, context, continuing, events, tools
from threads.runs.answer import Outcome
from threads.runs.context import Built
from threads.runs.end import Pending, next_block
from threads.runs.limits import LimitReached, Meter
from threads.runs.recorder import Recorder, RunOver
from threads.runs.spending import Spent
from threads.runs.tools import ToolResult, ToolSet
from threads.runs.waiting import Awaited

logger = logging.getLogger(__name__)

INTERNAL_ERROR = ("internal_error", "The answer failed for a reason of our own. It has been noted.")
WORKER_STOPPED = ("worker_stopped", "The worker was stopped before the answer was complete.")
TIME_LIMIT = ("time_limit", "The answer took longer than the agent may take.")
NOTE_SECONDS = 0.1  # for which the note of what a model is given lets its first words go first
RETRY_SECONDS = 0.25  # before the second asking; doubled each time
LONGEST_WAIT = 30.0  # a service that wants more patience than this has failed
STEP_LIMIT = ("step_limit", "The agent asked for tools more often than it may.")


@dataclass(slots=True)
class Step:
    """What one call of the model gave."""

    text: list[str] = field(default_factory=list)
    calls: list[ToolCall] = field(default_factory=list)
    finish_reason: str = ""
    used: Amount | None = None
    reported: bool = False  # by the provider, of the asking under way, or counted by us in its place

    @property
    def usage(self) -> dict[str, Any] | None:
        """For the message of this step; None where the provider reported nothing."""
        return self.used.as_dict() if self.used is not None else None

    @property
    def content(self) -> str:
        return "".join(self.text)


async def execute(*, run_id: UUID, workspace_id: UUID) -> None:
    """Execute a queued run to its end. Does nothing for one that is taken, cancelled or gone."""
    run = await in_thread(_claim, behind=True)(run_id, workspace_id)
    if run is None:
        return
    work = Work(run, Recorder(run_id=run.id, workspace_id=run.workspace_id))
    flushing = asyncio.create_task(work.recorder.keep_flushing())
    answering = asyncio.create_task(work.answer())
    try:
        await asyncio.wait({flushing, answering}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        # Either the answer is there, or the run was ended by others, or this worker is being stopped.
        stopped = not flushing.done() and not answering.done()
        answering.cancel()
        (outcome,) = await asyncio.gather(answering, return_exceptions=True)
        work.recorder.close()
        (flushed,) = await asyncio.gather(flushing, return_exceptions=True)
        if not (stopped and await work.hand_back()):
            await work.conclude(Outcome(Run.Status.FAILED, error=WORKER_STOPPED) if stopped else outcome)
        if isinstance(flushed, Exception) and not isinstance(flushed, RunOver):
            raise flushed


def _claim(run_id: UUID, workspace_id: UUID) -> Run | None:
    """It begins when its turn has come, not when it was asked for."""
    return answer.claim(run_id=run_id, workspace_id=workspace_id, now=timezone.now())


class Work:
    """One run in one worker: its tools, its provider, and what it has said so far."""

    def __init__(self, run: Run, recorder: Recorder) -> None:
        self.run = run
        self.recorder = recorder
        self.spent = Spent.of(run)
        self.meter = Meter(run, self.spent.total)
        self.step = Step()
        self.block = -1
        self.open = False
        self.outgrown = False

    async def answer(self) -> Outcome:
        """Ask, call tools, ask again, for as long as the agent may. Raises RunOver; provider errors are an outcome."""
        try:
            async with asyncio.timeout(self.run.agent.max_seconds):
                return await self._answer()
        except TimeoutError:
            return self._failed(*TIME_LIMIT)

    async def hand_back(self) -> bool:
        """Let another worker start over, where nothing was shown yet. True when that is so."""
        return await in_thread(answer.hand_back)(run=self.run, now=timezone.now())

    async def _answer(self) -> Outcome:
        if self.run.last_seq > 1:  # a person had it meanwhile, and handed it back
            self.block = await in_thread(next_block)(self.run) - 1
        try:
            provider = providers.get(self.run.provider, settings=settings.PROVIDERS)
            toolset: ToolSet | None = None
            if self.run.continues is not None:
                toolset = await in_thread(tools.effective)(self.run)
                await self._go_on(toolset)
            for _ in range(self.run.agent.max_steps):
                built = await in_thread(context.build)(run=self.run, tools=toolset)
                self.outgrown = summaries.is_due(built.request, budget=self.run.agent.context_budget)
                self.step = Step()
                heard = asyncio.Event()
                noting = asyncio.create_task(self._note(built, heard))
                try:
                    self.meter.asking(built.request)
                    await self._ask(provider, built.request, built.tools)
                except BaseException:  # why the asking failed is told, whatever became of the note
                    heard.set()
                    await asyncio.gather(noting, return_exceptions=True)
                    raise
                heard.set()
                await noting
                if not self.step.calls:
                    return self._answered()
                toolset = await in_thread(tools.effective)(self.run)  # as it is now that the model asks
                sorted_out = tools.sorted_out(toolset, self.step.calls)
                if sorted_out.waits:
                    return await self._hand_over(toolset, sorted_out)
                await self._call_tools(toolset)
        except ProviderError as error:
            return self._failed(error.code, error.message)
        except LimitReached as reached:
            return self._failed(*reached.fault)
        return Outcome(Run.Status.FAILED, error=STEP_LIMIT)

    async def _note(self, built: Built, heard: asyncio.Event) -> None:
        """Keep what the model is given: once the run's first words are on their way, all of this step have been heard,
        or NOTE_SECONDS are over."""
        first = [asyncio.create_task(each.wait()) for each in (heard, self.recorder.stored)]
        try:
            await asyncio.wait(first, timeout=NOTE_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for each in first:
                each.cancel()
        await in_thread(answer.note_context)(run=self.run, built=built)

    async def conclude(self, outcome: Outcome | BaseException) -> None:
        """Store how it ended. Somebody else may have been first: then there is nothing left to say."""
        self._close_block()
        self._count_unreported()
        failure = outcome if isinstance(outcome, BaseException) else None
        if isinstance(outcome, BaseException):
            outcome = self._failed(*INTERNAL_ERROR)
        elif outcome.error == WORKER_STOPPED:
            outcome = self._failed(*WORKER_STOPPED)
        try:
            await in_thread(answer.conclude)(
                run=self.run,
                pending=self.recorder.take_pending(),
                outcome=outcome,
                spent=self.spent,
                now=timezone.now(),
            )
        except RunOver:
            await in_thread(answer.note_late)(run=self.run, spent=self.spent, now=timezone.now())
            return
        if isinstance(failure, Exception) and not isinstance(failure, RunOver):
            raise failure

    async def _ask(self, provider: Provider, request: ModelRequest, toolset: ToolSet) -> None:
        """One call of the model, tried again while it fails for a passing reason and has said nothing yet."""
        for failures in itertools.count(1):
            try:
                return await self._hear(provider, request, toolset)
            except ProviderError as error:
                if error.usage is not None:
                    self._used(error.usage)
                if not error.retryable or failures > settings.PROVIDER_RETRIES or self.step.text or self.step.calls:
                    raise
                wait = error.retry_after or RETRY_SECONDS * 2**failures * random.uniform(0.5, 1.5)  # noqa: S311
                if wait > LONGEST_WAIT:
                    raise
                logger.info("asking again in %.1f s after %s", wait, error.code)
            await asyncio.sleep(wait)
        return None

    async def _hear(self, provider: Provider, request: ModelRequest, toolset: ToolSet) -> None:
        self.step.reported = False
        async with aclosing(provider.stream(request)) as stream:
            async for event in stream:
                match event:
                    case TextDelta(text):
                        self._text(text)
                    case ToolCall():
                        self._call(event, toolset)
                    case Usage():
                        self._used(event)
                    case Finished(reason):
                        self.step.finish_reason = reason
                await self.recorder.while_storing()
        self._close_block()
        self._count_unreported()

    async def _go_on(self, toolset: ToolSet) -> None:
        """Take up the step at which the run before this one stopped: its open calls are made now, or refused."""
        opened = await in_thread(continuing.open_calls)(run=self.run)
        if not opened:
            return
        for each in opened:
            self._call(each.call, toolset)
        self.step = Step()
        refusals = await in_thread(answer.take_calls)(
            run=self.run,
            pending=self.recorder.take_pending(),
            opened=opened,
            toolset=toolset,
            now=timezone.now(),
        )
        results = await self._results(toolset, [each.call for each in opened], refusals)
        await in_thread(answer.store_results)(run=self.run, pending=await self._settled(), results=results)

    async def _call_tools(self, toolset: ToolSet) -> None:
        await in_thread(answer.store_calls)(
            run=self.run,
            pending=await self._settled(),
            calling=answer.calling_draft(self.run, self.step.content, self.step.calls, usage=self.step.usage),
            spent=self.spent,
            now=timezone.now(),
        )
        calls, self.step = self.step.calls, Step()
        results = await self._results(toolset, calls)
        await in_thread(answer.store_results)(run=self.run, pending=await self._settled(), results=results)

    async def _results(
        self, toolset: ToolSet, calls: Sequence[ToolCall], refusals: Mapping[str, ToolResult] | None = None
    ) -> list[ToolResult]:
        """Make the calls, one after the other, and say what they gave."""
        results = [(refusals or {}).get(call.id) or await tools.call(toolset, call, run=self.run) for call in calls]
        refused = [
            {"tool_call_id": each.call.id, "name": each.call.name, "code": each.code}
            for each in results
            if each.refused
        ]
        if refused:
            self.run.refused_tools += refused
            await in_thread(answer.note_refusals)(run=self.run, refused=self.run.refused_tools)
        for result in results:
            self.recorder.put(
                events.TOOL_RESULT,
                tool_call_id=result.call.id,
                tool_type=toolset.type_of(result.call.name),
                content=result.content,
                is_error=result.is_error,
            )
        return results

    async def _settled(self) -> Pending:
        """Everything said so far is on its way into the database in order; returns what the caller must store."""
        await self.recorder.flush()
        return self.recorder.take_pending()

    def _text(self, text: str) -> None:
        if not self.open:
            self.block += 1
            self.open = True
            self.recorder.put(events.BLOCK_START, index=self.block, kind="text")
        self.step.text.append(text)
        self.recorder.put(events.TEXT_DELTA, index=self.block, text=text)
        self.meter.heard(text)

    def _used(self, usage: Usage) -> None:
        if not usage.counted:
            return
        self.step.reported = True
        self._spend(measured(usage, provider=self.run.provider, model=self.run.model))

    def _count_unreported(self) -> None:
        """A step without numbers of its provider's, cut off or not, counts by our estimate once it has spoken."""
        if (self.step.text or self.step.calls) and not self.step.reported:
            self.step.reported = True
            self._spend(self.meter.unreported())

    def _spend(self, amount: Amount) -> None:
        self.spent.add(amount)
        self.step.used = self.step.used or Amount()
        self.step.used.add(amount)

    def _call(self, call: ToolCall, toolset: ToolSet) -> None:
        self._close_block()
        self.block += 1
        self.meter.called(call)
        self.step.calls.append(call)
        self.recorder.put(
            events.BLOCK_START,
            index=self.block,
            kind="tool_use",
            id=call.id,
            name=call.name,
            tool_type=toolset.type_of(call.name),
            arguments=call.arguments,
            parameters=toolset.parameters_of(call.name),
        )
        self.recorder.put(events.BLOCK_STOP, index=self.block)

    def _close_block(self) -> None:
        if self.open:
            self.open = False
            self.recorder.put(events.BLOCK_STOP, index=self.block)

    def _answered(self) -> Outcome:
        draft = Draft(
            role=Message.Role.ASSISTANT,
            content=self.step.content,
            run_id=self.run.id,
            usage=self.step.usage,
            id=self.run.answer_id,
        )
        return Outcome(Run.Status.SUCCEEDED, self.step.finish_reason, drafts=[draft], outgrown=self.outgrown)

    async def _hand_over(self, toolset: ToolSet, sorted_out: tools.Step) -> Outcome:
        """The model asked for a tool that the client runs, or that a person must approve: the run stops until they have
        done their part. What can be done at once is."""
        asking = answer.calling_draft(
            self.run, self.step.content, self.step.calls, id=self.run.answer_id, usage=self.step.usage
        )
        self.step = Step()
        done = [answer.result_draft(self.run, result) for result in await self._results(toolset, sorted_out.now)]
        awaited = Awaited(sorted_out.outputs, sorted_out.approvals)
        return Outcome(Run.Status.REQUIRES_ACTION, "tool_calls", drafts=[asking, *done], awaited=awaited)

    def _failed(self, code: str, message: str) -> Outcome:
        """What was said until then is kept, marked as partial."""
        self._count_unreported()
        drafts = []
        if self.step.text:
            draft = Draft(
                role=Message.Role.ASSISTANT,
                content=self.step.content,
                run_id=self.run.id,
                partial=True,
                usage=self.step.usage,
                id=self.run.answer_id,
            )
            drafts.append(draft)
        return Outcome(Run.Status.FAILED, error=(code, message), drafts=drafts)
