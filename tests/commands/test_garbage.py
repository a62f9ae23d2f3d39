"""A web process as its server begins it."""

import subprocess
import sys

from tests.hub import ROOT, clean_environment

BEGIN = """
import gc, sys
from threadhub import asgi
asgi._keep_what_is_loaded()
print("threadhub.console.site" in sys.modules, gc.get_freeze_count() > 50_000, gc.isenabled())
"""


def test_it_looks_for_garbage_but_not_in_its_code() -> None:
    environment = {**clean_environment(), "DATABASE_URL": "postgresql://nobody@localhost/none"}
    done = subprocess.run(
        [sys.executable, "-c", BEGIN], cwd=ROOT, env=environment, check=True, capture_output=True, text=True
    )
    assert done.stdout.split() == ["True", "True", "True"]
