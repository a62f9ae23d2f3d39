"""The application that a web process serves."""

import os
from collections.abc import Awaitable, Callable
from importlib import import_module
from typing import Any

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "threadhub.settings")
os.environ["THREADHUB_POOLED"] = "1"

import django

FLUSH_SECONDS = 5.0  # counts of access: more seldom would see less, more often would write more

Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[Any], Awaitable[None]]

django.setup(set_prefix=False)
from django.conf import settings  # noqa: E402

from threadhub.audit import watching  # noqa: E402  has models, which want the apps to be there
from threadhub.handler import Handler  # noqa: E402
from threadhub.lib import garbage, remembered  # noqa: E402
from threadhub.limits import streams  # noqa: E402
from threadhub.workspaces import known_keys  # noqa: E402

handler = Handler()


async def application(scope: dict[str, Any], receive: Receive, send: Send) -> None:
    """The handler, and the server's question about start and end, which Django does not answer."""
    if scope["type"] == "lifespan":
        await _lifespan(receive, send)
    else:
        await handler(scope, receive, send)


async def _lifespan(receive: Receive, send: Send) -> None:
    import_module(settings.ROOT_URLCONF)  # else the first request loads the views
    garbage.keep_what_is_loaded()
    watching.watch(every_seconds=FLUSH_SECONDS)
    remembered.watch(every_seconds=FLUSH_SECONDS)
    streams.keep()
    known_keys.listen()
    while (await receive())["type"] == "lifespan.startup":
        await send({"type": "lifespan.startup.complete"})
    await send({"type": "lifespan.shutdown.complete"})
