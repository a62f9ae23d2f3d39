"""What of a thread a model is given: the newest messages that fit a budget of tokens."""

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from threadhub.agents.providers.request import ContextMessage, ModelRequest
from threadhub.lib import json

CHARACTERS_PER_TOKEN = 4  # the usual rough figure; budgets are for the order of size, a provider counts exactly
MESSAGE_OVERHEAD = 4  # tokens a chat format spends on each message's frame
INPUT_TOKENS = 1_000  # what an image or a document is taken for


def tokens(message: ContextMessage) -> int:
    """An estimate, never less than the frame."""
    characters = len(message.content) + sum(len(str(call.arguments)) + len(call.name) for call in message.tool_calls)
    return MESSAGE_OVERHEAD + -(-characters // CHARACTERS_PER_TOKEN) + INPUT_TOKENS * len(message.inputs)


def tokens_of(request: ModelRequest) -> int:
    """An estimate of all the text that a model is given with a request."""
    system = ContextMessage("system", request.instructions or "")
    return sum(map(tokens, (system, *request.messages)))


Placed = tuple[int, ContextMessage]  # a message and its position


def newest_that_fit(newest_first: Iterable[Placed], *, budget: int) -> list[Placed]:
    """The newest messages whose tokens stay within `budget`, oldest first. The newest one is always there."""
    chosen: list[Placed] = []
    left = budget
    for position, message in newest_first:
        left -= tokens(message)
        if chosen and left < 0:
            break
        chosen.append((position, message))
    chosen.reverse()
    return chosen


def fingerprint(request: ModelRequest) -> str:
    """SHA-256 (hex) over everything in a request that the model gets to see; files by their own digest."""
    seen = {
        "model": request.model,
        "instructions": request.instructions,
        "messages": [_seen(message) for message in request.messages],
        "tools": [[tool.name, tool.description, tool.parameters] for tool in request.tools],
        "settings": [request.temperature, request.top_p, request.max_output_tokens, list(request.stop)],
    }
    return hashlib.sha256(json.dumps_sorted(seen)).hexdigest()


def _seen(message: ContextMessage) -> list[Any]:
    calls = [[call.id, call.name, call.arguments] for call in message.tool_calls]
    files = [[item.media_type, hashlib.sha256(item.data).hexdigest()] for item in message.inputs]
    return [message.role, message.content, calls, message.tool_call_id, message.tool_name, files]


def paired(messages: Iterable[ContextMessage]) -> list[ContextMessage]:
    """Whole tool exchanges, each in one piece: services refuse a result whose call they do not see, a call without its
    result, and anything that stands between them.

    A call that never got its result (its run was cut short) is left out, and so is a result whose call is beyond the
    budget, or a second one of the same call. Text beside them stays. What came between a call and a late result is
    told after the result.
    """
    messages = list(messages)
    results = _results(messages)
    result: list[ContextMessage] = []
    for at, message in enumerate(messages):
        if message.role == "tool":
            continue
        own = results.get(at, {})
        calls = tuple(call for call in message.tool_calls if call.id in own)
        if calls != message.tool_calls:
            message = ContextMessage(message.role, message.content, calls, inputs=message.inputs)
        if message.content or message.tool_calls or message.inputs:
            result.append(message)
        result.extend(own.values())
    return result


def _results(messages: Sequence[ContextMessage]) -> dict[int, dict[str, ContextMessage]]:
    """Of each message that asks for tools, by its place, the results in the order in which they came. Services give
    the same id again in later steps: a result is of the newest call before it that has none."""
    open_calls: dict[str, int] = {}
    found: defaultdict[int, dict[str, ContextMessage]] = defaultdict(dict)
    for at, message in enumerate(messages):
        if message.role == "tool" and message.tool_call_id in open_calls:
            found[open_calls.pop(message.tool_call_id)][message.tool_call_id] = message
        elif message.role != "tool":
            open_calls.update((call.id, at) for call in message.tool_calls)
    return found


def fill_in(instructions: str, variables: Mapping[str, Any]) -> str:
    """Put a session's variables into an agent's instructions: `{{name}}` becomes the value, unknown names stay."""
    for name, value in variables.items():
        instructions = instructions.replace("{{" + name + "}}", str(value))
    return instructions
