"""Real models of small size, where their extra is installed: behind a real OpenAI-compatible server, and in-process."""

import asyncio
import time
from collections.abc import Iterator

import pytest

from tests.fakes.llama_server import MISSING, llama_server
from tests.providers.asking import ask, compatible, listen, request, user
from threadhub.agents.events import ToolCall
from threadhub.agents.providers import ContextMessage, ImageInput, Provider, ProviderSettings, ToolSpec, get

pytestmark = pytest.mark.skipif(MISSING is not None, reason=str(MISSING))

WEATHER = ToolSpec("weather", "The weather.", {"type": "object", "properties": {}})
CALL = ToolCall("call_1", "weather", {})


@pytest.fixture(scope="module")
def base_url() -> Iterator[str]:
    with llama_server() as url:
        yield url


@pytest.fixture
def local() -> Provider:
    return get("local", settings=ProviderSettings())


def test_a_real_server_with_a_real_model_answers(base_url: str) -> None:
    asked = request("What is 2+2?", temperature=0.0, model="smollm2")
    said = ask(compatible(base_url), asked)
    assert "4" in said.text
    assert len(said.pieces) > 1
    assert said.reason == "stop"
    assert said.usage.input_tokens > 10
    assert said.usage.output_tokens >= len(said.pieces) - 1


def test_a_real_server_remembers_the_thread(base_url: str) -> None:
    thread = (
        user("My name is Zoltan."),
        ContextMessage("assistant", "Hello Zoltan, how can I help you?"),
        user("What is my name?"),
    )
    assert "Zoltan" in ask(compatible(base_url), request(*thread, temperature=0.0, max_output_tokens=30)).text


def test_a_real_server_cuts_a_long_answer(base_url: str) -> None:
    said = ask(compatible(base_url), request("Tell me a long story.", temperature=0.0, max_output_tokens=5))
    assert (said.reason, said.usage.output_tokens) == ("length", 5)


def test_a_real_server_says_when_the_thread_is_too_long(base_url: str) -> None:
    assert ask(compatible(base_url), request("word " * 5000)).code == "context_length_exceeded"


def test_the_model_in_this_process_answers(local: Provider) -> None:
    said = ask(local, request("What is 2+2?", temperature=0.0, max_output_tokens=40))
    assert "4" in said.text
    assert len(said.pieces) > 1


def test_the_model_in_this_process_is_offered_no_tools(local: Provider) -> None:
    """A thread that has tool results from another provider can still go on."""
    thread = (
        user("Will it rain?"),
        ContextMessage("assistant", "", tool_calls=(CALL,)),
        ContextMessage("tool", "rain", tool_call_id="call_1", tool_name="weather"),
        ContextMessage("assistant", "Yes."),
        user("Say hello."),
    )
    said = ask(local, request(*thread, tools=(WEATHER,), temperature=0.0, max_output_tokens=10))
    assert (said.code, said.calls) == (None, [])
    assert said.text


def test_the_model_in_this_process_reads_text_only(local: Provider) -> None:
    picture = ImageInput(b"x", "image/png")
    assert ask(local, request(user("look", inputs=(picture,)))).code == "provider_request_invalid"


def test_the_model_in_this_process_stops_when_nobody_listens(local: Provider) -> None:
    """It answers one question at a time: a second one is answered soon only if the first has really ended."""

    async def leave_and_ask() -> float:
        stream = local.stream(request("Count to a thousand.", temperature=0.0))
        await anext(stream)
        await stream.aclose()
        began = time.monotonic()
        await listen(local, request("Say hello.", max_output_tokens=1))
        return time.monotonic() - began

    assert asyncio.run(leave_and_ask()) < 10


def test_a_model_file_that_is_not_there_is_missing() -> None:
    provider = get("local", settings=ProviderSettings(local_model="/nowhere/model.gguf"))
    said = ask(provider, request("hi"))
    assert said.code == "provider_missing"
    assert "/nowhere" not in str(said.error)
