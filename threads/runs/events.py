"""The types of a run's events, in the order they come:

    message_start  {message_id, model}            once, first
    block_start    {index, kind: "text"}         {author: "person"} beside it, where a member of staff answers
                   {index, kind: "tool_use", id, name, tool_type, arguments, parameters}
    text_delta     {index, text}                  any number, in an open text block
    block_stop     {index}
    tool_result    {tool_call_id, tool_type, content, is_error}    after its block
    message_stored {message_id, position, role}   a message of the answer is in the thread
    usage          {input_tokens, output_tokens, cached_tokens}
    error          {code, message}                where the run failed
    message_stop   {status, finish_reason}        once, last

A dialect encodes each by itself, without looking at the ones before: so a reader may come in anywhere.
"""

from dataclasses import dataclass
from typing import Any

MESSAGE_START = "message_start"
BLOCK_START = "block_start"
TEXT_DELTA = "text_delta"
BLOCK_STOP = "block_stop"
TOOL_RESULT = "tool_result"
MESSAGE_STORED = "message_stored"
USAGE = "usage"
ERROR = "error"
MESSAGE_STOP = "message_stop"

PERSON = "person"  # `author` of text that a member of staff wrote in the agent's place


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """An event as readers get it: its number in the run, from 1, its type and its data."""

    seq: int
    type: str
    data: dict[str, Any]
