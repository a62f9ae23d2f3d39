"""Adapters to the services that compute answers: `openai` (any compatible endpoint), `anthropic`, `local`,
`echo`.
"""

from threadhub.agents.providers.detection import DetectedProvider, detect
from threadhub.agents.providers.provider import Provider
from threadhub.agents.providers.registry import ProviderStatus, available, get
from threadhub.agents.providers.request import (
    ContextMessage,
    DocumentInput,
    ImageInput,
    ModelRequest,
    ToolSpec,
)
from threadhub.agents.providers.settings import ProviderSettings

__all__ = [
    "ContextMessage",
    "DetectedProvider",
    "DocumentInput",
    "ImageInput",
    "ModelRequest",
    "Provider",
    "ProviderSettings",
    "ProviderStatus",
    "ToolSpec",
    "available",
    "detect",
    "get",
]
