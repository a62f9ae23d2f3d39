"""Echo answers the same every time, and does what the prompt tells it to."""

import asyncio
import hashlib
import json
import time

import pytest

from tests.providers.asking import answered, ask, echo, request, user
from threadhub.agents.events import ToolCall, Usage
from threadhub.agents.provider_errors import ERRORS
from threadhub.agents.providers import ContextMessage, DocumentInput, ImageInput, ToolSpec


def test_it_says_what_it_was_told_word_by_word() -> None:
    said = ask(echo(), request("hello  there\nyou"))
    assert said.pieces == ["You ", "said: ", "hello  ", "there\n", "you"]
    assert said.reason == "stop"


def test_it_answers_the_last_question_of_the_thread() -> None:
    assert ask(echo(), request(*answered("first", "answer", "second"))).text == "You said: second"


def test_it_says_the_same_twice() -> None:
    asked = request(*answered("a", "b", '/tool current_time {"zone": "UTC"}'), instructions="Be kind.")
    assert ask(echo(), asked).events == ask(echo(), asked).events


def test_it_counts_words() -> None:
    said = ask(echo(), request(*answered("one two", "three", "four"), instructions="be kind"))
    assert said.usage == Usage(input_tokens=6, output_tokens=3)


def test_it_names_the_files_it_was_shown() -> None:
    files = (ImageInput(b"12345", "image/png"), DocumentInput(b"123", "application/pdf", "report.pdf"))
    said = ask(echo(), request(user("see", inputs=files)))
    assert said.text == "You said: see\n[image/png, 5 bytes]\n[report.pdf, application/pdf, 3 bytes]"


def test_it_has_an_answer_where_there_is_no_question() -> None:
    assert ask(echo(), request(ContextMessage("assistant", "hi"))).text == "You said: "


def test_it_says_exactly_what_it_is_told_to_say() -> None:
    assert ask(echo(), request("/say  two  spaces /slow 1\n/say next")).text == "two  spaces /slow 1\nnext"


@pytest.mark.parametrize("length", [0, 1, 5, 5000])
def test_it_answers_at_the_length_it_is_told(length: int) -> None:
    said = ask(echo(), request(f"/length {length} words\nand some text"))
    assert len(said.text.split()) == length
    assert said.usage.output_tokens == length


def test_it_asks_for_the_tools_it_is_told_to_call_and_answers_from_their_results() -> None:
    question = user('/tool current_time {"zone": "UTC"}\n/tool weather /slow 0')
    first = ask(echo(), request(question))
    assert [(call.name, call.arguments) for call in first.calls] == [("current_time", {"zone": "UTC"}), ("weather", {})]
    assert (first.text, first.reason) == ("", "tool_calls")
    assert len({call.id for call in first.calls}) == 2
    results = [
        ContextMessage("assistant", "", tool_calls=tuple(first.calls)),
        ContextMessage("tool", "noon", tool_call_id=first.calls[0].id, tool_name="current_time"),
        ContextMessage("tool", "rain", tool_call_id=first.calls[1].id, tool_name="weather"),
    ]
    second = ask(echo(), request(question, *results))
    assert (second.text, second.reason, second.calls) == ("current_time: noon\nweather: rain", "stop", [])


def test_it_goes_from_step_to_step() -> None:
    question = user(
        '/say Let me look. /ok\n/tool a {"n": 1}\n/say And now?\n/tool b\n/fail provider_unavailable 1\n/say never'
    )
    first = ask(echo(), request(question))
    assert (first.text, [call.name for call in first.calls]) == ("Let me look. /ok", ["a"])
    once = (question, *_called(first.calls))
    second = ask(echo(), request(*once))
    assert (second.text, [call.name for call in second.calls]) == ("And now?", ["b"])
    third = ask(echo(), request(*once, *_called(second.calls)))
    assert (third.text, third.code) == ("never", "provider_unavailable")


def test_it_calls_for_ever_when_told_to_loop() -> None:
    context = [user("/tool a\n/loop")]
    ids = set()
    for _ in range(4):
        said = ask(echo(), request(*context))
        assert [call.name for call in said.calls] == ["a"]
        ids.add(said.calls[0].id)
        context += _called(said.calls)
    assert len(ids) == 4


def test_a_new_question_begins_anew() -> None:
    first = ask(echo(), request("/tool a"))
    thread = [user("/tool a"), *_called(first.calls), ContextMessage("assistant", "a: done")]
    assert ask(echo(), request(*thread, "and now?")).text == "You said: and now?"


@pytest.mark.parametrize("code", sorted(ERRORS))
def test_it_fails_with_every_code(code: str) -> None:
    said = ask(echo(), request(f"/fail {code}"))
    assert (said.code, said.events) == (code, ())


def test_it_fails_after_some_words() -> None:
    said = ask(echo(), request("/fail provider_rate_limited 3 one two three"))
    assert (said.text, said.code) == ("You said: one ", "provider_rate_limited")


def test_it_fails_at_the_end_of_a_shorter_answer() -> None:
    said = ask(echo(), request("/say hi\n/fail provider_timeout 1"))
    assert (said.text, said.code) == ("hi", "provider_timeout")


def test_it_speaks_slowly_at_an_even_pace() -> None:
    began = time.monotonic()
    assert len(ask(echo(), request("/slow 0.02 /length 20")).pieces) == 20
    assert 0.4 <= time.monotonic() - began < 4


def test_it_is_silent_and_then_goes_on() -> None:
    began = time.monotonic()
    assert ask(echo(), request("/hang 0.2 1 hi")).text == "You said: hi"
    assert time.monotonic() - began >= 0.2


def test_it_times_out_as_a_real_provider_does() -> None:
    began = time.monotonic()
    said = ask(echo(), request("/hang 30 1 hi", timeout_seconds=0.1))
    assert (said.text, said.code) == ("You ", "provider_timeout")
    assert time.monotonic() - began < 5


def test_it_stops_when_nobody_listens_any_more() -> None:
    async def leave() -> None:
        stream = echo().stream(request("/hang 30 1"))
        await anext(stream)
        await stream.aclose()

    began = time.monotonic()
    asyncio.run(leave())
    assert time.monotonic() - began < 5


def test_it_ends_as_told() -> None:
    assert ask(echo(), request("/finish content_filter")).reason == "content_filter"
    cut = ask(echo(), request("one two three", max_output_tokens=3))
    assert (cut.text, cut.reason) == ("You said: one ", "length")
    assert ask(echo(), request("one two three", stop=("two", "three"))).text == "You said: one "


def test_it_tells_what_it_was_given() -> None:
    tools = (ToolSpec("current_time", "The time.", {"type": "object"}),)
    thread = [ContextMessage("system", "s"), *answered("a", "b", "/context")]
    told = json.loads(ask(echo(), request(*thread, instructions="Be kind.", tools=tools)).text)
    digest = hashlib.sha256()
    for message in thread:
        digest.update(json.dumps([message.role, message.content]).encode())
    assert told == {
        "model": "fake-1",
        "messages": 4,
        "roles": "suau",
        "sha256": digest.hexdigest(),
        "instructions": hashlib.sha256(b"Be kind.").hexdigest(),
        "tools": ["current_time"],
    }


@pytest.mark.parametrize(
    "prompt",
    [
        "/slow down",
        "/slow 3601",
        "/length 200001",
        "/length ²",
        "/length -1",
        "/tool",
        "/tool a {broken",
        "/fail nothing_known",
        "/finish badly",
        "/hang",
        "/unknown 1",
        "no /say here",
        "/" * 5,
        "/tool a " + '{"a":' * 100_000,
    ],
)
def test_what_it_cannot_read_is_text(prompt: str) -> None:
    assert ask(echo(), request(prompt)).text == f"You said: {prompt}"


def _called(calls: list[ToolCall]) -> list[ContextMessage]:
    """The messages that stand in the thread after these calls were done."""
    results = [ContextMessage("tool", "done", tool_call_id=call.id, tool_name=call.name) for call in calls]
    return [ContextMessage("assistant", "", tool_calls=tuple(calls)), *results]
