"""`manage.py create_workspace`."""

import json
from pathlib import Path

import httpx
import pytest

from tests.commands.test_up import FIELDS, first_start
from tests.commands.ups import Up, manage


def created(data_dir: Path, name: str, *options: str) -> dict[str, str]:
    done = manage("create_workspace", name, *options, "--json", "--data-dir", str(data_dir))
    assert done.returncode == 0, done.stderr
    (line,) = done.stdout.splitlines()
    facts = json.loads(line)
    assert isinstance(facts, dict)
    return facts


def test_it_makes_a_workspace_that_can_be_used_at_once(running: Up, data_dir: Path) -> None:
    first, second = created(data_dir, "Kölner Büro"), created(data_dir, "Kölner Büro")
    assert list(first) == FIELDS
    assert (first["username"], second["username"]) == ("kolner-buro", "kolner-buro-2")
    assert first["admin_password"] == first_start(data_dir)["admin_password"]
    with httpx.Client(base_url=running.url, trust_env=False, timeout=30) as client:
        key = {"authorization": f"Bearer {first['api_key']}"}
        assert client.post(f"/agents/{first['agent_id']}/threads", json={}, headers=key).status_code == 200
        assert client.get(f"/agents/{second['agent_id']}", headers=key).status_code == 404
        member = {"username": first["username"], "password": first["password"]}
        assert client.post("/api/signin", json=member).status_code == 200


def test_its_user_may_be_the_owner(running: Up, data_dir: Path) -> None:
    facts = created(data_dir, "Owned", "--role", "owner")
    who = {"username": facts["username"], "password": facts["password"], "authType": "oauth"}
    with httpx.Client(base_url=running.url, trust_env=False, timeout=30) as client:
        payload = client.post("/api/signin", json=who).json()["payload"]
        owner = {"authorization": f"Bearer {payload['token']}"}
        path = f"/workspaces/{facts['workspace_id']}/members"
        assert [member["role"] for member in client.get(path, headers=owner).json()["data"]] == ["owner"]
        assert client.post(path, json={"user": "anna@example.org", "role": "owner"}, headers=owner).status_code == 201


def test_it_speaks_to_people_too(running: Up, data_dir: Path) -> None:
    done = manage("create_workspace", "Acme", "--url", "https://hub.example.org/", "--data-dir", str(data_dir))
    assert "  API          https://hub.example.org\n" in done.stdout
    assert "curl -s https://hub.example.org/api/ai/agent_" in done.stdout


@pytest.mark.parametrize("name", ["", "  ", "x" * 201, "a\nb"])
def test_it_refuses_what_is_no_name(name: str, running: Up, data_dir: Path) -> None:
    done = manage("create_workspace", name, "--data-dir", str(data_dir))
    assert done.returncode == 1
    assert done.stderr == "A workspace's name has 1 to 200 printable characters.\n"


def test_it_needs_tables(tmp_path: Path) -> None:
    done = manage("create_workspace", "Early", "--data-dir", str(tmp_path / "data"))
    assert done.returncode == 1
    assert "run `manage.py migrate` first" in done.stderr
    assert "Traceback" not in done.stderr
