"""A run's events as chunks that both kinds of client read: `type` and `content` for the one, `choices` for the other.

No event name, no id line: the clients skip them, and the stream cannot be resumed by POST anyway.
"""

from typing import Any

from threadhub.api.ai.representations.completions import awaited, finish_reason, head, usage
from threadhub.api.ai.representations.messages import tool_call
from threadhub.lib import json
from threads.models import Run
from threads.runs import events
from threads.runs.events import StoredEvent

DONE = b"data: [DONE]\n\n"
CANCELLED = ("run_cancelled", "The answer was cancelled.")


class Chunks:
    """Encodes the events of one run, from its first on: the last chunks speak of what came before."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.head = head(run)
        self.calls: list[dict[str, Any]] = []
        self.calling = False
        self.usage = usage(0, 0)

    def __call__(self, event: StoredEvent) -> bytes:
        """The bytes for an event; none where clients of this dialect are told nothing."""
        match event.type:
            case events.TEXT_DELTA:
                by_person = {"author": event.data["author"]} if "author" in event.data else {}
                text = event.data["text"]
                return self._chunk("chunk", {"content": text}, content=text, **by_person)
            case events.BLOCK_START if event.data["kind"] == "tool_use":
                return self._tool_use(event.data)
            case events.TOOL_RESULT:
                return self._tool_result(event.data)
            case events.USAGE:
                self.usage = usage(event.data["input_tokens"], event.data["output_tokens"])
            case events.ERROR:
                return frame({"type": "error", **event.data})
            case events.MESSAGE_STOP:
                return self._stop(event.data)
        return b""

    def _tool_use(self, data: dict[str, Any]) -> bytes:
        if not self.calling:
            self.calls.clear()  # those of the step before have their results
            self.calling = True
        call = {"id": data["id"], "name": data["name"], "arguments": data["arguments"]}
        self.calls.append(call)
        if data["tool_type"] == "client":
            return b""  # told at the end, all together
        return self._chunk("function_executing", {}, functionCall=tool_call(call))

    def _tool_result(self, data: dict[str, Any]) -> bytes:
        self.calling = False
        call = next((call for call in self.calls if call["id"] == data["tool_call_id"]), None)
        result = {"tool_call_id": data["tool_call_id"], "result": data["content"]}
        if call is not None:
            result["functionCall"] = tool_call(call)
        return self._chunk("function_failed" if data["is_error"] else "function_executed", {}, **result)

    def _stop(self, data: dict[str, Any]) -> bytes:
        match data["status"]:
            case Run.Status.SUCCEEDED:
                return self._chunk("done", {}, data["finish_reason"] or "stop", usage=self.usage)
            case Run.Status.REQUIRES_ACTION:
                pending = awaited(data.get("required_action"), self.calls)
                calls = [{"index": at, **call} for at, call in enumerate(pending.get("assistantToolCalls", ()))]
                asking = self._chunk(delta={"tool_calls": calls} if calls else {}, **pending)
                return asking + self._chunk("done", {}, finish_reason("tool_calls", pending), usage=self.usage)
            case Run.Status.CANCELLED:
                return frame({"type": "error", "code": CANCELLED[0], "message": CANCELLED[1]})
        return b""  # failed or expired: its error was told

    def _chunk(self, type: str, delta: dict[str, Any], finish_reason: str | None = None, **own: Any) -> bytes:
        choice = {"index": 0, "delta": delta, "finish_reason": finish_reason}
        return frame({"type": type, **own, **self.head, "object": "chat.completion.chunk", "choices": [choice]})


def frame(data: dict[str, Any]) -> bytes:
    """One server-sent event."""
    return b"data: " + json.dumps_stored(data) + b"\n\n"
