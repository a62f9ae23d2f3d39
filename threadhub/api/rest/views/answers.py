"""How a run is answered: as the events of its stream, or as JSON once it is over."""

from typing import Any

from django.http import HttpResponse
from django.http.response import HttpResponseBase

from threadhub.api import errors
from threadhub.api.problem import Problem
from threadhub.api.rest.events import encoder, session_ended
from threadhub.api.rest.representations.messages import MessageRepresentation
from threadhub.api.rest.representations.runs import ANSWERED, usage
from threadhub.api.rest.representations.usage import as_shown
from threadhub.api.streaming import AfterRun, InSession, Leaving, RunStream, stream
from threadhub.lib import ids, json
from threadhub.lib.errors import Conflict
from threads.access import RunNotFound
from threads.models import Message, Run, Thread
from threads.runs import transcript


class RunCancelled(Conflict):
    """This run was cancelled before its answer was complete."""

    code = "run_cancelled"


class RunAnswers:
    """Answers of one request: where files are linked from, and whether tool calls are shown."""

    def __init__(
        self, request: Any, threads_path: str, *, show_tool_calls: bool = True, when_left: Leaving | None = None
    ) -> None:
        self.request = request
        self.threads_path = threads_path
        self.show_tool_calls = show_tool_calls
        self.when_left = when_left
        # A visitor's answers end with their chat session; a key that asks for them has a word of its own.
        self.session_id = request.user.session_id

    def as_stream(self, run: Run, after: int = 0) -> RunStream:
        """The run's events from number `after` on. `Content-Location` says where they are to be had again."""
        session = InSession(self.session_id, session_ended(run)) if self.session_id else None
        events = stream(run, encode=encoder(run), after=after, when_left=self.when_left, session=session)
        thread_id = ids.encode(Thread.PREFIX, run.thread_id)
        events["Content-Location"] = f"{self.threads_path}/{thread_id}/runs/{run.wire_id}/events"
        return events

    def when_over(self, run: Run) -> AfterRun:
        """The JSON that is sent when the run is over."""
        return AfterRun(run, self._render, when_left=self.when_left, session_id=self.session_id)

    def _render(self, run: Run) -> HttpResponseBase:
        """The answer; a problem where the run failed. Raises RunCancelled, and RunNotFound when its thread is gone."""
        if run.live:
            raise RunNotFound
        if run.status == Run.Status.CANCELLED:
            return errors.render(self.request, self._problem(run, 409, RunCancelled.code, RunCancelled().message))
        if run.status not in ANSWERED:
            failed = errors.failed_run(run.error_code, run.error_message)
            return errors.render(self.request, self._problem(run, failed.status, failed.code, failed.message))
        body = {
            "success": True,
            "error": None,
            "data": self._data(run),
            "message_id": ids.encode(Message.PREFIX, run.answer_id),
            "thread_id": ids.encode(Thread.PREFIX, run.thread_id),
        }
        return HttpResponse(
            json.dumps_stored(body), content_type="application/json", headers={"Cache-Control": "no-store"}
        )

    def _data(self, run: Run) -> dict[str, Any]:
        told = transcript.of_run(run=run)
        context = {"threads_path": self.threads_path}
        messages = MessageRepresentation(told.messages, many=True, context=context).data
        results = [
            {
                "tool_call_id": message.tool_call_id,
                "name": message.name,
                "content": message.tool_result,
                "is_error": message.tool_call_id in told.failed_calls,
            }
            for message in told.messages
            if message.role == Message.Role.TOOL
        ]
        answer = told.answer
        at = told.messages.index(answer) if answer else -1
        return {
            "answer": (answer.content or "") if answer else "",
            "message": messages[at] if answer else None,
            "messages": messages if self.show_tool_calls else [messages[at]] if answer else [],
            "tool_results": results if self.show_tool_calls else [],
            "run_id": run.wire_id,
            "status": run.status,
            "finish_reason": run.finish_reason,
            "usage": as_shown(usage(run), context),
            "ignored_tools": run.ignored_tools,
            "refused_tools": run.refused_tools,
            "required_action": run.required_action,
        }

    def _problem(self, run: Run, status: int, code: str, message: str) -> Problem:
        thread_id = ids.encode(Thread.PREFIX, run.thread_id)
        return Problem(status, code, message, details={"run_id": run.wire_id, "thread_id": thread_id})
