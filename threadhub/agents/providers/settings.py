"""Where the providers of this installation are, and with which credentials."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

OPENAI_BASE_URL = "https://api.openai.com/v1"


@dataclass(frozen=True, slots=True)
class ProviderSettings:
    """Addresses and keys; `None` means not configured. Keys stay out of its repr, and so out of logs.

    `openai_base_url` is that of any OpenAI-compatible server, which may need no key. `local_model` is the
    path of a GGUF file to use instead of the small model of the extra.
    """

    openai_base_url: str | None = None
    openai_api_key: str | None = field(default=None, repr=False)
    anthropic_base_url: str | None = None
    anthropic_api_key: str | None = field(default=None, repr=False)
    local_model: str | None = None
    model: str | None = None

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> ProviderSettings:
        """Read the vendors' own variables and ours; an empty one counts as absent."""

        def value(key: str) -> str | None:
            return environ.get(key, "").strip() or None

        return cls(
            openai_base_url=value("OPENAI_BASE_URL"),
            openai_api_key=value("OPENAI_API_KEY"),
            anthropic_base_url=value("ANTHROPIC_BASE_URL"),
            anthropic_api_key=value("ANTHROPIC_API_KEY"),
            local_model=value("THREADHUB_LOCAL_MODEL"),
            model=value("THREADHUB_MODEL"),
        )
