"""`manage.py up` while its embedded server is killed in the middle of an answer."""

from pathlib import Path

import httpx

from tests.commands.test_up import first_start
from tests.commands.ups import until, up
from tests.embedded.people import kill_server


def test_the_hub_goes_on_when_its_database_server_is_killed_during_an_answer(tmp_path: Path) -> None:
    hub = up(tmp_path / "data", "--json")
    url = str(hub.facts()["url"])
    known = first_start(tmp_path / "data")
    key = {"authorization": f"Bearer {known['api_key']}"}
    invoke = f"/agents/{known['agent_id']}/invoke"
    with httpx.Client(base_url=url, headers=key, timeout=30, trust_env=False) as client:
        slow = {"prompt": "/slow 0.2\n/length 100"}
        with client.stream("POST", invoke, json=slow, headers={"accept": "text/event-stream"}) as stream:
            next(chunk for chunk in stream.iter_raw() if b"text_delta" in chunk)
            kill_server(tmp_path / "data")
        until(lambda: client.post(invoke, json={"prompt": "still there?"}).status_code == 200)
    assert hub.process.poll() is None, hub.err.read_text()
    hub.signal()
    assert hub.process.wait(30) == 0
