"""The strict reader itself: what it takes, and that it refuses each fault that seed 003's client refuses."""

import json
import re
from collections.abc import Sequence
from typing import Any

import pytest

from tests.clients.plai_events import ProtocolError
from tests.clients.plai_stream import Answer, StrictReader, read

START: dict[str, Any] = {
    "type": "message_start",
    "message": {"id": "msg_1", "role": "assistant", "model": "echo"},
}
TEXT: dict[str, Any] = {"type": "content_block_start", "index": 0, "content_block": {"type": "text"}}
HELLO: dict[str, Any] = {
    "type": "content_block_delta",
    "index": 0,
    "delta": {"type": "text_delta", "text": "Hello"},
}
WORLD: dict[str, Any] = {
    "type": "content_block_delta",
    "index": 0,
    "delta": {"type": "text_delta", "text": " wörld"},
}
TEXT_STOP: dict[str, Any] = {"type": "content_block_stop", "index": 0}
MESSAGE_ID: dict[str, Any] = {"type": "message_id", "message_id": "msg_1"}
USAGE: dict[str, Any] = {"type": "usage", "input_tokens": 3, "output_tokens": 2, "cached_tokens": None}
STOP: dict[str, Any] = {"type": "message_stop"}
ERROR: dict[str, Any] = {
    "type": "error",
    "error": {"type": "llm_error", "message": "The model did not answer."},
}
USE: dict[str, Any] = {
    "type": "content_block_start",
    "index": 0,
    "content_block": {
        "type": "tool_use",
        "id": "call_1",
        "name": "clock",
        "tool_type": None,
        "input": {"zone": "UTC"},
        "input_schema": {},
    },
}
RESULT: dict[str, Any] = {
    "type": "tool_result",
    "tool_use_id": "call_1",
    "tool_type": None,
    "content": "noon",
    "is_error": False,
    "error_details": None,
    "metadata": {},
}
SIMPLE = [START, TEXT, HELLO, WORLD, TEXT_STOP, MESSAGE_ID, USAGE, STOP]


def at(event: dict[str, Any], index: int) -> dict[str, Any]:
    """The same event for another block."""
    return {**event, "index": index}


def frame(event: dict[str, Any]) -> str:
    return f"event: {event['type']}\ndata: {json.dumps(event, ensure_ascii=False)}\n\n"


def stream(*events: dict[str, Any] | str) -> bytes:
    """Events as frames; a string goes in as it is."""
    return "".join(event if isinstance(event, str) else frame(event) for event in events).encode()


def answer(*events: dict[str, Any] | str) -> Answer:
    return read([stream(*events)])


def test_it_reads_a_text_answer() -> None:
    read_answer = answer(*SIMPLE)
    assert read_answer.text == "Hello wörld"
    assert read_answer.message == {"id": "msg_1", "role": "assistant", "model": "echo"}
    assert (read_answer.message_id, read_answer.usage, read_answer.error) == ("msg_1", USAGE, None)
    assert read_answer.names == [
        "message_start",
        "content_block_start",
        "content_block_delta",
        "content_block_stop",
        "message_id",
        "usage",
        "message_stop",
    ]


def test_it_reads_the_same_one_byte_at_a_time() -> None:
    whole = stream(": hello\n\n", *SIMPLE).replace(b"\n", b"\r\n")
    assert read(bytes([byte]) for byte in whole) == answer(*SIMPLE)


def test_it_hands_out_each_event_with_the_byte_that_completes_it() -> None:
    reader = StrictReader()
    assert reader.feed(stream(START)[:-1]) == []
    assert [event.type for event in reader.feed(b"\n" + stream(TEXT))] == [
        "message_start",
        "content_block_start",
    ]


def test_it_takes_comments_ids_retry_and_data_of_several_lines() -> None:
    data = 'data: {"type":"usage","input_tokens":1,\ndata: "output_tokens":2,"cached_tokens":0}\n\n'
    lines = f"id: 7\n: in between\nevent: usage\n{data}"
    read_answer = answer(": ping\n\nretry: 1000\n\n", START, "\n: ping\n\n", TEXT, TEXT_STOP, lines, STOP, ": bye\n\n")
    assert read_answer.usage == {"type": "usage", "input_tokens": 1, "output_tokens": 2, "cached_tokens": 0}
    assert [event.id for event in read_answer.events if event.type == "usage"] == ["7"]


def test_it_reads_a_tool_use_with_its_result_and_the_text_after_it() -> None:
    rest = [at(TEXT, 1), at(HELLO, 1), at(TEXT_STOP, 1), MESSAGE_ID, USAGE, STOP]
    read_answer = answer(START, USE, TEXT_STOP, RESULT, *rest)
    assert read_answer.tool_results["call_1"]["content"] == "noon"
    assert [block.type for block in read_answer.blocks] == ["tool_use", "text"]
    assert read_answer.text == "Hello"


def test_it_reads_a_guardrail_that_nothing_was_stored_for() -> None:
    guardrail = at({"type": "content_block_start", "content_block": {"type": "guardrail", "content": "No."}}, 0)
    assert answer(START, guardrail, TEXT_STOP, USAGE, STOP).blocks[0].start["content"] == "No."


def test_it_reads_a_failure_in_the_middle_of_a_block() -> None:
    read_answer = answer(START, TEXT, HELLO, ERROR, STOP)
    assert read_answer.error == ERROR["error"]
    assert read_answer.text == "Hello"


def test_it_lets_further_keys_be() -> None:
    assert answer({**START, "run_id": "run_1"}, {**STOP, "more": 1}).names == [
        "message_start",
        "message_stop",
    ]


def without(event: dict[str, Any], *path: str) -> dict[str, Any]:
    """A deep copy of the event that lacks one field."""
    copy: dict[str, Any] = json.loads(json.dumps(event))
    inner = copy
    for name in path[:-1]:
        inner = inner[name]
    del inner[path[-1]]
    return copy


BAD_STREAMS: list[tuple[str, str, Sequence[dict[str, Any] | str]]] = [
    ("ends without message_stop", "without message_stop", SIMPLE[:-1]),
    ("empty", "without message_stop", []),
    ("only comments", "without message_stop", [": ping\n\n"]),
    ("cut inside a frame", "inside a frame", [*SIMPLE[:-1], frame(STOP)[:-1]]),
    ("[DONE] at the end", "event names", [*SIMPLE, "data: [DONE]\n\n"]),
    ("[DONE] under a name", "not JSON", [*SIMPLE[:-1], "event: message_stop\ndata: [DONE]\n\n"]),
    ("unknown event", "unknown event type", [START, {"type": "ping"}, STOP]),
    ("run_status event", "unknown event type", [START, {"type": "run_status", "status": "running"}, STOP]),
    (
        "type is not the event name",
        "carries the type",
        [START, 'event: usage\ndata: {"type": "message_stop"}\n\n'],
    ),
    ("type missing", "carries the type None", [START, "event: message_stop\ndata: {}\n\n"]),
    ("no event name", "0 event names", [START, 'data: {"type": "message_stop"}\n\n']),
    (
        "two event names",
        "2 event names",
        [START, 'event: usage\nevent: message_stop\ndata: {"type": "message_stop"}\n\n'],
    ),
    ("event without data", "not JSON", [START, "event: message_stop\n\n", STOP]),
    ("data is no JSON", "not JSON", [START, "event: message_stop\ndata: {type}\n\n"]),
    ("data is NaN inside", "NaN", [START, frame(USAGE).replace("null", "NaN"), STOP]),
    ("data is an array", "not a JSON object", [START, "event: message_stop\ndata: []\n\n"]),
    ("line that is no field", "unknown field", [START, "event: message_stop\nwhat: is this\n" + frame(STOP)]),
    (
        "raw line break in the data",
        "unknown field",
        [START, TEXT, frame(HELLO).replace("Hello", "Hel\nlo"), TEXT_STOP, STOP],
    ),
    (
        "bare carriage return",
        "carriage return",
        [START, TEXT, frame(HELLO).replace("Hello", "Hel\rlo"), TEXT_STOP, STOP],
    ),
    ("no message_start", "before message_start", [TEXT, TEXT_STOP, STOP]),
    ("message_stop first", "before message_start", [STOP]),
    ("error first", "before message_start", [ERROR, STOP]),
    ("message_start twice", "message_start again", [START, START, STOP]),
    ("event after message_stop", "usage after message_stop", [*SIMPLE, USAGE]),
    ("message_stop twice", "message_stop after message_stop", [*SIMPLE, STOP]),
    ("delta of an unopened block", "delta for block 0, which", [START, HELLO, STOP]),
    ("delta of another block", "delta for block 1, which", [START, TEXT, at(HELLO, 1), TEXT_STOP, STOP]),
    ("delta after the block stopped", "delta for block 0, which", [START, TEXT, TEXT_STOP, HELLO, STOP]),
    ("delta in a tool use", "in the tool_use block", [START, USE, HELLO, TEXT_STOP, STOP]),
    ("stop of an unopened block", "stop for block 0, which", [START, TEXT_STOP, STOP]),
    ("stop of another block", "stop for block 1, which", [START, TEXT, at(TEXT_STOP, 1), STOP]),
    ("stop twice", "stop for block 0, which", [START, TEXT, TEXT_STOP, TEXT_STOP, STOP]),
    ("block left open", "message_stop while block 0", [START, TEXT, HELLO, STOP]),
    (
        "block left open at message_id",
        "message_id while block 0",
        [START, TEXT, HELLO, MESSAGE_ID, TEXT_STOP, STOP],
    ),
    ("block left open at usage", "usage while block 0", [START, TEXT, HELLO, USAGE, TEXT_STOP, STOP]),
    ("block inside a block", "inside block 0", [START, TEXT, at(TEXT, 1), at(TEXT_STOP, 1), TEXT_STOP, STOP]),
    ("index twice", "block 0 where 1", [START, TEXT, TEXT_STOP, TEXT, TEXT_STOP, STOP]),
    ("index skipped", "block 2 where 1", [START, TEXT, TEXT_STOP, at(TEXT, 2), at(TEXT_STOP, 2), STOP]),
    ("index not from 0", "block 1 where 0", [START, at(TEXT, 1), at(TEXT_STOP, 1), STOP]),
    (
        "index going back",
        "block 0 where 2",
        [START, TEXT, TEXT_STOP, at(TEXT, 1), at(TEXT_STOP, 1), TEXT, TEXT_STOP, STOP],
    ),
    ("index as text", "index is '0'", [START, {**TEXT, "index": "0"}, TEXT_STOP, STOP]),
    (
        "index true",
        "index is True",
        [START, TEXT, TEXT_STOP, {**TEXT, "index": True}, {**TEXT_STOP, "index": True}, STOP],
    ),
    (
        "unknown block",
        "is 'thinking'",
        [START, {**TEXT, "content_block": {"type": "thinking"}}, TEXT_STOP, STOP],
    ),
    (
        "unknown delta",
        "is 'json_delta'",
        [START, TEXT, {**HELLO, "delta": {"type": "json_delta", "text": ""}}, TEXT_STOP, STOP],
    ),
    ("result nobody asked for", "no block asked", [START, RESULT, STOP]),
    (
        "result of another use",
        "no block asked",
        [START, USE, TEXT_STOP, {**RESULT, "tool_use_id": "call_2"}, STOP],
    ),
    ("result before its block stopped", "before its block", [START, USE, RESULT, TEXT_STOP, STOP]),
    ("result twice", "second result", [START, USE, TEXT_STOP, RESULT, RESULT, STOP]),
    ("result after message_id", "after message_id", [START, USE, TEXT_STOP, MESSAGE_ID, RESULT, STOP]),
    ("tool use twice", "call_1 twice", [START, USE, TEXT_STOP, at(USE, 1), at(TEXT_STOP, 1), STOP]),
    ("block after message_id", "after message_id", [START, MESSAGE_ID, TEXT, TEXT_STOP, STOP]),
    ("block after usage", "after message_id or usage", [START, USAGE, TEXT, TEXT_STOP, STOP]),
    ("message_id after usage", "after message_id or usage", [START, USAGE, MESSAGE_ID, STOP]),
    ("message_id twice", "after message_id", [START, MESSAGE_ID, MESSAGE_ID, STOP]),
    ("usage twice", "usage twice", [START, USAGE, USAGE, STOP]),
    ("usage after an error", "after an error", [START, ERROR, USAGE, STOP]),
    ("error twice", "after an error", [START, ERROR, ERROR, STOP]),
    (
        "error of an unknown type",
        "unknown error type",
        [START, {**ERROR, "error": {"type": "oops", "message": "?"}}, STOP],
    ),
    (
        "error without words",
        "message is ''",
        [START, {**ERROR, "error": {"type": "llm_error", "message": ""}}, STOP],
    ),
    (
        "not the assistant",
        "role is 'user'",
        [{**START, "message": {**START["message"], "role": "user"}}, STOP],
    ),
    ("usage as text", "input_tokens is '3'", [START, {**USAGE, "input_tokens": "3"}, STOP]),
    ("usage below nothing", "output_tokens is -1", [START, {**USAGE, "output_tokens": -1}, STOP]),
    (
        "tool input as text",
        "input is '{}'",
        [
            START,
            {**USE, "content_block": {**USE["content_block"], "input": "{}"}},
            TEXT_STOP,
            STOP,
        ],
    ),
    *((f"start without {name}", f"no {name}", [without(START, "message", name), STOP]) for name in START["message"]),
    *(
        (
            f"tool use without {name}",
            f"no {name}",
            [START, without(USE, "content_block", name), TEXT_STOP, STOP],
        )
        for name in [*USE["content_block"]][1:]
    ),
    *(
        (f"result without {name}", f"no {name}", [START, USE, TEXT_STOP, without(RESULT, name), STOP])
        for name in [*RESULT][1:]
    ),
    *((f"usage without {name}", f"no {name}", [START, without(USAGE, name), STOP]) for name in [*USAGE][1:]),
]


@pytest.mark.parametrize(("name", "why", "events"), BAD_STREAMS, ids=[name for name, _, _ in BAD_STREAMS])
def test_it_refuses(name: str, why: str, events: Sequence[dict[str, Any] | str]) -> None:
    with pytest.raises(ProtocolError, match=re.escape(why)):
        answer(*events)


def test_it_refuses_bytes_that_are_not_utf_8() -> None:
    with pytest.raises(ProtocolError, match="UTF-8"):
        read([stream(START, TEXT), b"event: x\xff\n\n"])


def test_it_refuses_a_character_cut_in_half_at_the_end() -> None:
    with pytest.raises(ProtocolError, match="inside a frame"):
        read([stream(*SIMPLE), "ö".encode()[:1]])
