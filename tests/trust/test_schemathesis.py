"""schemathesis, with all of its checks, against the running product and the document that it serves.

A normal run is bounded in time; `pytest --thorough` takes ten minutes.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.hub import ROOT, Hub, HubFailed, running
from tests.trust.contract import toml
from tests.trust.operations import operations
from tests.trust.schemathesis_hooks import OWN_KEY

SECONDS, THOROUGH_SECONDS = 45, 600
EXAMPLES, THOROUGH_EXAMPLES = 3, 40  # of each operation; also how many walks along links
LEEWAY = 240  # to begin, and to end the phase at hand
# So much at once is what limits of requests are there to stop.
ENVIRONMENT = dict.fromkeys(
    ("RATE_LIMIT_KEY", "RATE_LIMIT_SESSION", "RATE_LIMIT_USER", "RATE_LIMIT_ADDRESS", "RATE_LIMIT_SIGN_IN"), "0"
)


@pytest.fixture
def own_hub(tmp_path: Path) -> Iterator[Hub]:
    """Not the one that the other tests share: all that can be deleted here will be."""
    try:
        with running(tmp_path / "data", logs=tmp_path, environment=ENVIRONMENT) as started:
            yield started
    except HubFailed as error:
        pytest.fail(f"`manage.py up` {error}\n{(tmp_path / 'stderr').read_text()}", pytrace=False)


@pytest.mark.timeout(THOROUGH_SECONDS + 2 * LEEWAY)
def test_the_product_does_what_its_document_says(own_hub: Hub, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    thorough = request.config.getoption("--thorough")
    seconds, examples = (THOROUGH_SECONDS, THOROUGH_EXAMPLES) if thorough else (SECONDS, EXAMPLES)
    (tmp_path / "schemathesis.toml").write_text(toml(operations()))
    command = [
        sys.executable, "-m", "schemathesis.cli", "--config-file", str(tmp_path / "schemathesis.toml"),
        "run", f"{own_hub.url}/openapi.json", "--header", f"Authorization: Bearer {own_hub.api_key}",
        "--checks", "all", "--phases", "examples,coverage,fuzzing,stateful", "--max-examples", str(examples),
        "--max-time", str(seconds), "--request-timeout", "30", "--continue-on-failure", "--no-color",
    ]  # fmt: skip
    (own_key,) = own_hub.get("/api_keys").json()["data"]
    done = subprocess.run(
        command, cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT), OWN_KEY: own_key["id"]},
        capture_output=True, text=True, timeout=seconds + LEEWAY, check=False,
    )  # fmt: skip
    assert own_hub.get("/api_keys").status_code == 200, "its own key was lost on the way: the rest proves nothing"
    assert done.returncode == 0, done.stdout[-20_000:] + done.stderr[-2_000:]
    said = (tmp_path / "stderr").read_text()
    assert "Traceback" not in said, said[-5_000:]
