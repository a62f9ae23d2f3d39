"""`manage.py up`: from an empty directory to a hub that answers, and back."""

import contextlib
import json
import signal
import stat
import subprocess
from pathlib import Path

import httpx
import pytest

from tests import processes
from tests.commands.conftest import CONCURRENCY
from tests.commands.ups import Up, all_gone, manage, until, up
from threadhub.launch.supervisor import RESTARTS

FIELDS = [
    "url",
    "admin_url",
    "docs_url",
    "chat_url",
    "workspace_id",
    "agent_id",
    "api_key",
    "username",
    "password",
    "admin_username",
    "admin_password",
    "provider",
    "model",
]


def first_start(data_dir: Path) -> dict[str, str]:
    (known,) = json.loads((data_dir / "first_start.json").read_text())
    assert isinstance(known, dict)
    return known


def test_it_says_first_which_provider_answers_and_how_to_change_it(running: Up) -> None:
    assert running.text().startswith("Answers come from echo, as THREADHUB_PROVIDER says; change or unset it")


def test_it_says_where_to_go_and_with_what(running: Up, data_dir: Path) -> None:
    known = first_start(data_dir)
    said = running.text()
    for value in (
        running.url,
        f"{running.url}/docs",
        f"{running.url}/admin/",
        f"{running.url}/chat/pk_",
        known["workspace_id"],
        known["agent_id"],
    ):
        assert value in said
    assert f"{known['admin_username']} / {known['admin_password']}" in said
    assert f"{known['username']} / {known['password']}" in said
    assert said.rstrip().endswith("Ctrl-C ends all of it.")


def test_its_samples_can_be_pasted_and_are_answered(running: Up) -> None:
    samples = [line.strip() for line in running.text().splitlines() if "curl -s" in line]
    answers = [
        subprocess.run(["bash", "-c", sample], capture_output=True, text=True, check=True, timeout=60).stdout
        for sample in samples
    ]
    assert len(answers) == 2
    assert "event: message_stop" in answers[0]
    assert "text_delta" in answers[0]
    assert json.loads(answers[1])["choices"][0]["message"]["content"] == "You said: Hello!"


def test_what_it_made_lets_a_person_in(running: Up, data_dir: Path) -> None:
    known = first_start(data_dir)
    with httpx.Client(base_url=running.url, trust_env=False, timeout=30) as client:
        member = {"username": known["username"], "password": known["password"]}
        assert client.post("/api/signin", json=member).status_code == 200
        page = client.get("/admin/login/")
        form = {"username": known["admin_username"], "password": known["admin_password"], "next": "/admin/"}
        form["csrfmiddlewaretoken"] = client.cookies["csrftoken"]
        signed_in = client.post("/admin/login/", data=form, headers={"referer": str(page.url)})
        assert signed_in.status_code == 302
        assert client.get("/admin/").status_code == 200


def test_only_its_owner_reads_the_secrets(running: Up, data_dir: Path) -> None:
    for name in ("first_start.json", "secret_key"):
        assert stat.S_IMODE((data_dir / name).stat().st_mode) == 0o600


def test_a_second_one_shares_the_database_and_ends_alone(running: Up, data_dir: Path) -> None:
    second = up(data_dir, "--json")
    facts = second.facts()
    known = first_start(data_dir)
    assert {name: facts[name] for name in known} == known
    own = processes.descendants(second.process.pid)
    assert second.signal(signal.SIGINT) == 0
    assert all_gone(own)
    assert httpx.get(f"{running.url}/health", trust_env=False).status_code == 200
    assert running.process.poll() is None


def test_a_killed_one_leaves_no_process(running: Up, data_dir: Path) -> None:
    other = up(data_dir, "--json")
    other.facts()
    own = processes.descendants(other.process.pid)
    assert len(own) >= 3
    other.signal(signal.SIGKILL)
    until(lambda: all_gone(own), seconds=45)  # a web server gives its processes 30 to end


@pytest.mark.parametrize(("name", "words"), [("worker", "manage.py work"), ("web server", "threadhub.launch.web")])
def test_what_is_killed_is_started_again(running: Up, data_dir: Path, name: str, words: str) -> None:
    other = up(data_dir, "--json")
    known = other.facts()
    killed = other.child(words)
    processes.kill(next(one for one in killed if one.pid == min(each.pid for each in killed)))
    until(lambda: f"The {name} was killed by signal 9. It is started again." in other.err.read_text())
    until(lambda: all_gone(set(killed)) and bool(other.child(words)))
    ask = {"prompt": "/say here I am"}
    key = {"authorization": f"Bearer {known['api_key']}"}
    with httpx.Client(base_url=other.url, headers=key, timeout=60, trust_env=False) as client:
        until(lambda: answers(client))
        said = client.post(f"/agents/{known['agent_id']}/invoke", json=ask).json()["data"]["answer"]
    assert said == "here I am"
    own = processes.descendants(other.process.pid)
    assert other.signal() == 0
    assert all_gone(own)


def answers(client: httpx.Client) -> bool:
    with contextlib.suppress(httpx.TransportError):
        return client.get("/health").status_code == 200
    return False


def test_it_says_so_and_ends_when_its_worker_ends_again_and_again(running: Up, data_dir: Path) -> None:
    other = up(data_dir, "--json")
    other.facts()
    own = processes.descendants(other.process.pid)
    for _ in range(RESTARTS + 1):
        until(lambda: bool(other.child("manage.py work")))
        (worker,) = other.child("manage.py work")
        processes.kill(worker)
    assert other.process.wait(30) == 1
    assert "The worker was killed by signal 9. It ends again and again, so the rest is ended too." in (
        other.err.read_text()
    )
    assert all_gone(own)


def test_it_starts_while_the_queue_is_full_of_long_runs(running: Up, data_dir: Path) -> None:
    """Its sign of readiness must not stand in the queue behind them."""
    known = first_start(data_dir)
    with httpx.Client(base_url=running.url, trust_env=False, timeout=30) as client:
        client.headers["authorization"] = f"Bearer {known['api_key']}"
        path = f"/agents/{known['agent_id']}/threads"
        threads = [client.post(path, json={}).json()["id"] for _ in range(10)]
        streams = [
            client.build_request(
                "POST", f"{path}/{thread}/invoke", json={"prompt": "/hang 60"}, headers={"accept": "text/event-stream"}
            )
            for thread in threads
        ]
        opened = [client.send(request, stream=True) for request in streams]
        try:
            other = up(data_dir, "--json", WORKER_CONCURRENCY=CONCURRENCY)
            assert other.facts()["agent_id"] == known["agent_id"]
        finally:
            for thread, stream in zip(threads, opened, strict=True):
                stream.close()
                (run,) = client.get(f"/threads/{thread}/runs").json()["data"]
                client.post(f"/threads/{thread}/runs/{run['id']}/cancel")
    assert other.signal() == 0


def test_two_at_once_on_an_empty_directory_make_one_workspace_and_leave_nothing(tmp_path: Path) -> None:
    data_dir = tmp_path / "data"
    ups = [up(data_dir, "--json", THREADHUB_DURABLE="0") for _ in range(2)]
    lines = [each.facts() for each in ups]
    assert list(lines[0]) == FIELDS
    same = [name for name in FIELDS if not name.endswith("url")]
    assert [lines[0][name] for name in same] == [lines[1][name] for name in same]
    own = {process for each in ups for process in processes.descendants(each.process.pid)}
    postgres = processes.working_in(data_dir)
    assert postgres
    assert [each.signal() for each in ups] == [0, 0]
    assert [each.out.read_text().count("\n") for each in ups] == [1, 1]
    assert all_gone(own | postgres | processes.working_in(data_dir))
    again = up(data_dir, "--json", port=ups[0].port)
    assert again.facts() == lines[0]
    own = processes.descendants(again.process.pid) | processes.working_in(data_dir)
    assert again.signal(signal.SIGHUP) == 0
    assert all_gone(own)
    said = manage("doctor", "--data-dir", str(data_dir))
    assert said.returncode == 1
    assert "WRONG worker" in said.stdout
