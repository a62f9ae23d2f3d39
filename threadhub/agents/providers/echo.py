"""echo: answers at once, the same every time, without key or network. For a first start, and for tests as the
double that is real code.

Its answer to a prompt is `You said: ` and the prompt, one word an event (each with the space after it); for
each attached file a line `[image/png, 123 bytes]` or `[report.pdf, application/pdf, 123 bytes]` follows.
When tools were called since the prompt, the answer is a line `name: result` for each of their results.

A line of the prompt that starts with one of these is not repeated but done. Several may follow each other on
one line or on several; only `/say` takes its whole line.

    /tool NAME {JSON}     ask for this tool (`{}` if there is no JSON); tools that stand together are asked
                          for at once; directives after them hold for the next asking, with their results
    /loop                 ask for the last tools again whenever their results are there, for ever
    /say TEXT             answer exactly TEXT (several: one line each); before a tool: text, then the call
    /length N [words]     answer in exactly N words: the answer's own, over and over
    /slow SECONDS         a pause before each word, here and in all later askings of this prompt
    /hang SECONDS [N]     stay silent that long, after N words (else before the first); beyond the timeout of
                          the request it fails with provider_timeout, as a real provider does
    /fail CODE [N]        fail with this code of provider_errors, after N words (else before the first)
    /finish REASON        end with this reason: stop, length, content_filter
    /context              answer with what the model was given, as one line of JSON: see `context_report`

What cannot be read (`/slow down`, broken JSON, more than 200,000 words or an hour) is text. Answers are cut
at `max_output_tokens` words (`length`), and before a `stop` text. Usage counts words: those of instructions
and messages in, those of the answer and one for each tool call out.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import AsyncGenerator
from itertools import cycle, islice
from typing import Any

from threadhub.agents.events import Finished, FinishReason, ProviderEvent, TextDelta, ToolCall, Usage
from threadhub.agents.provider_errors import ERRORS, ProviderTimeout
from threadhub.agents.providers.echo_script import Step, parse, pieces
from threadhub.agents.providers.request import ContextMessage, DocumentInput, ModelRequest


class EchoProvider:
    """See the module."""

    name = "echo"

    async def stream(self, request: ModelRequest) -> AsyncGenerator[ProviderEvent, None]:
        """Answer the last user message of the context."""
        question, since = _last_question(request.messages)
        script = parse(question.content if request.purpose == "answer" else "")
        step = script.step(sum(1 for message in since if message.tool_calls))
        if request.purpose == "summary":
            text = _summary(request)
        elif request.purpose == "title":
            text = _title(request)
        else:
            text = _text(request, step) or _reply(question, since, script.text, step)
        words, finish = _cut(text, request, step)
        async for event in _spoken(step, words, request.timeout_seconds):
            yield event
        calls = _calls(step, request.messages)
        for call in calls:
            yield call
        yield Usage(input_tokens=_count(request), output_tokens=len(words) + len(calls))
        yield Finished("tool_calls" if calls else finish)


def context_report(request: ModelRequest) -> dict[str, Any]:
    """What `/context` tells: so a test can prove what the model was given.

    `messages` by number, `roles` in order as letters (s, u, a, t), `sha256` over every message's role and
    content in order, `instructions` their SHA-256 or null, `tools` their names.
    """
    digest = hashlib.sha256()
    for message in request.messages:
        digest.update(json.dumps([message.role, message.content]).encode())
    instructions = request.instructions
    return {
        "model": request.model,
        "messages": len(request.messages),
        "roles": "".join(message.role[0] for message in request.messages),
        "sha256": digest.hexdigest(),
        "instructions": hashlib.sha256(instructions.encode()).hexdigest() if instructions else None,
        "tools": [tool.name for tool in request.tools],
    }


def _last_question(
    messages: tuple[ContextMessage, ...],
) -> tuple[ContextMessage, tuple[ContextMessage, ...]]:
    """The last user message and what came after it; an empty one if there is none."""
    for index in range(len(messages) - 1, -1, -1):
        if messages[index].role == "user":
            return messages[index], messages[index + 1 :]
    return ContextMessage("user", ""), messages


def _text(request: ModelRequest, step: Step) -> str:
    """What the directives tell it to say, or nothing."""
    if step.context:
        return json.dumps(context_report(request))
    return "\n".join(step.say)


def _summary(request: ModelRequest) -> str:
    """A summary that a test can foresee: how much there was, and how it began. No directives in it are followed."""
    text = request.messages[-1].content if request.messages else ""
    return f"{len(text.splitlines())} lines, beginning with: {text[:80]}"


def _title(request: ModelRequest) -> str:
    """A title that a test can foresee: the first six words of the question."""
    text = request.messages[-1].content if request.messages else ""
    return " ".join(text.removeprefix("user: ").partition("\nassistant: ")[0].split()[:6])


def _reply(question: ContextMessage, since: tuple[ContextMessage, ...], text: str, step: Step) -> str:
    if step.calls:
        return ""
    results = [message for message in since if message.role == "tool"]
    if results:
        return "\n".join(f"{message.tool_name or 'tool'}: {message.content}" for message in results)
    return f"You said: {text}" + _attached(question)


def _cut(text: str, request: ModelRequest, step: Step) -> tuple[list[str], FinishReason]:
    """The words of the answer, no longer than they may be, and why they end."""
    words = list(pieces(text))
    if step.length is not None:
        words = _repeated(words, step.length)
    if request.stop:
        words = list(pieces(_before_stop("".join(words), request.stop)))
    limit = request.max_output_tokens
    if limit is not None and len(words) > limit:
        return words[:limit], "length"
    return words, step.finish


def _attached(question: ContextMessage) -> str:
    lines = []
    for item in question.inputs:
        name = f"{item.filename}, " if isinstance(item, DocumentInput) else ""
        lines.append(f"\n[{name}{item.media_type}, {len(item.data)} bytes]")
    return "".join(lines)


def _repeated(words: list[str], length: int) -> list[str]:
    """Exactly `length` words, the given ones over and over, with one space between them."""
    own = [word.strip() for word in words if word.strip()] or ["word"]
    chosen = list(islice(cycle(own), length))
    return [f"{word} " for word in chosen[:-1]] + chosen[-1:]


def _before_stop(text: str, stop: tuple[str, ...]) -> str:
    found = [at for mark in stop if mark and (at := text.find(mark)) >= 0]
    return text[: min(found)] if found else text


async def _spoken(step: Step, words: list[str], patience: float) -> AsyncGenerator[TextDelta, None]:
    """The words at their times. The pace is kept against the clock, so that many words do not drift."""
    clock = asyncio.get_running_loop()
    due = clock.time()
    for number, word in enumerate([*words, None]):
        if step.silence is not None and step.silence[1] == number:
            await _silent(step.silence[0], patience)
            due = clock.time()
        if step.failure is not None and step.failure[1] == number:
            raise ERRORS[step.failure[0]]()
        if word is None:
            return
        if step.seconds_per_word > patience:
            await _silent(step.seconds_per_word, patience)
        due += step.seconds_per_word
        await asyncio.sleep(max(0.0, due - clock.time()))
        yield TextDelta(word)


async def _silent(seconds: float, patience: float) -> None:
    await asyncio.sleep(min(seconds, patience))
    if seconds > patience:
        raise ProviderTimeout()


def _calls(step: Step, messages: tuple[ContextMessage, ...]) -> list[ToolCall]:
    """The step's tool calls; their ids come from the context, so they are the same each time and never met
    before.
    """
    if not step.calls:
        return []
    digest = hashlib.sha256(repr([(message.role, message.content) for message in messages]).encode()).hexdigest()
    return [
        ToolCall(id=f"call_{digest[:20]}_{number}", name=name, arguments=arguments)
        for number, (name, arguments) in enumerate(step.calls)
    ]


def _count(request: ModelRequest) -> int:
    texts = [request.instructions or "", *(message.content for message in request.messages)]
    return sum(len(text.split()) for text in texts)
