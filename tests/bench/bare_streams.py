"""The reference for open streams: raw ASGI that sends frames at a pace, and knows nothing of runs.

Served by granian as the hub is; started by `streams.py`.
"""

import asyncio
import os
from typing import Any

PAUSE, FRAMES = (float(each) for each in os.environ.get("BENCH_FRAMES", "0.05,200").split(","))
HEAD = {"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/event-stream")]}


async def application(scope: dict[str, Any], receive: Any, send: Any) -> None:
    if scope["type"] != "http":
        return
    if scope["path"] == "/health":
        await send({**HEAD, "headers": []})
        await send({"type": "http.response.body", "body": b"ok"})
        return
    await send(HEAD)
    clock = asyncio.get_running_loop()
    due = clock.time()
    for number in range(1, int(FRAMES) + 1):
        frame = f'id: {number}\nevent: text_delta\ndata: {{"index":0,"text":"word "}}\n\n'
        await send({"type": "http.response.body", "body": frame.encode(), "more_body": True})
        due += PAUSE
        await asyncio.sleep(max(0.0, due - clock.time()))
    await send({"type": "http.response.body", "body": b"id: 0\nevent: message_stop\ndata: {}\n\n"})
