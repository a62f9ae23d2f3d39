"""What a process looks for garbage in: not its code."""

import subprocess
import sys

import pytest

from tests.hub import ROOT, clean_environment

WEB = """
import asyncio, gc, sys
from threadhub import asgi

asgi.watching.watch = asgi.streams.keep = asgi.known_keys.listen = lambda **options: None
said = iter(["lifespan.startup", "lifespan.shutdown"])

async def receive():
    return {"type": next(said)}

async def send(message):
    if message["type"] == "lifespan.startup.complete":
        print("threadhub.console.site" in sys.modules, gc.get_freeze_count() > 50_000, gc.isenabled())

asyncio.run(asgi.application({"type": "lifespan"}, receive, send))
"""
COMMAND = """
import gc
import django
django.setup()
from threadhub.management.commands.work import Command

Command.execute = lambda self, *args, **options: print(True, gc.get_freeze_count() > 50_000, gc.isenabled())
Command().run_from_argv(["manage.py", "work"])
"""


@pytest.mark.parametrize("process", [WEB, COMMAND], ids=["web", "command"])
def test_it_looks_for_garbage_but_not_in_its_code(process: str) -> None:
    environment = {
        **clean_environment(),
        "DATABASE_URL": "postgresql://nobody@localhost/none",
        "DJANGO_SETTINGS_MODULE": "threadhub.settings",
    }
    done = subprocess.run(
        [sys.executable, "-c", process], cwd=ROOT, env=environment, check=True, capture_output=True, text=True
    )
    assert done.stdout.split() == ["True", "True", "True"]
