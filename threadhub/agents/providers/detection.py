"""Which provider a first start should use, from what the environment offers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from threadhub.agents.provider_errors import ProviderMissing
from threadhub.agents.providers.registry import missing
from threadhub.agents.providers.settings import ProviderSettings

FORCE = "THREADHUB_PROVIDER"
DEFAULT_MODELS = {
    "openai": "gpt-6-luna",
    "anthropic": "claude-haiku-5-5",
    "local": "smollm2-135m-instruct",
    "echo": "echo",
}


@dataclass(frozen=True, slots=True)
class DetectedProvider:
    """A choice: provider, model, and `sentence`, a line for a person that says why and how to change it."""

    name: str
    model: str
    sentence: str


def detect(environ: Mapping[str, str]) -> DetectedProvider:
    """Choose what THREADHUB_PROVIDER names; unset: an OpenAI-compatible endpoint, else Anthropic, else the local model,
    else echo.

    Nothing is asked over the network, so a wrong key or address shows only in the first answer.
    Raises ProviderMissing for a THREADHUB_PROVIDER that does not exist.
    """
    settings = ProviderSettings.from_environ(environ)
    forced = _forced(environ)
    name = forced or next(name for name in DEFAULT_MODELS if missing(name, settings) is None)
    model = DEFAULT_MODELS[name]
    if settings.model and name in ("openai", "anthropic"):
        model = settings.model
    sentence = _forced_sentence(name, model, settings) if forced else _sentence(name, model, settings)
    return DetectedProvider(name=name, model=model, sentence=sentence)


def _forced(environ: Mapping[str, str]) -> str:
    name = environ.get(FORCE, "").strip()
    if name and name not in DEFAULT_MODELS:
        raise ProviderMissing(f"{FORCE} must be one of {', '.join(DEFAULT_MODELS)}, not {name[:40]!r}.")
    return name


def _forced_sentence(name: str, model: str, settings: ProviderSettings) -> str:
    """A choice is kept even where it cannot work yet: what it lacks is said instead of another being taken."""
    what = name if model == name else f"{name} ({model})"
    lacking = missing(name, settings)
    return f"Answers come from {what}, as {FORCE} says; change or unset it for another. {lacking or ''}".rstrip()


def _sentence(name: str, model: str, settings: ProviderSettings) -> str:
    match name:
        case "openai":
            where = "OPENAI_BASE_URL" if settings.openai_base_url else "OPENAI_API_KEY"
            return f"Answers come from {model} by {where}; set THREADHUB_MODEL for another model."
        case "anthropic":
            return f"Answers come from {model} by ANTHROPIC_API_KEY; set THREADHUB_MODEL for another model."
        case "local":
            what = "the file of THREADHUB_LOCAL_MODEL" if settings.local_model else model
            return f"Answers come from a small model on this machine, {what}. {_way_out(settings)}"
        case _:
            return f"Answers come from echo, which repeats the question. {_way_out(settings)}"


def _way_out(settings: ProviderSettings) -> str:
    """How to have a real model: first of all, what is wrong with the one that was meant."""
    meant = {
        "openai": settings.openai_base_url or settings.openai_api_key,
        "anthropic": settings.anthropic_api_key,
    }
    for name, configured in meant.items():
        reason = missing(name, settings)
        if configured and reason:
            return reason
    return "Set OPENAI_API_KEY, OPENAI_BASE_URL or ANTHROPIC_API_KEY for a real model."
