"""A connection of one's own, past Django and its pool: for LISTEN."""

from typing import Any

from django.conf import settings
from procrastinate.contrib.django.utils import connector_params

from threadhub.embedded.server import ensure_running_for

OF_DJANGO = ("pool", "server_side_binding", "isolation_level", "assume_role", "prepare_threshold")


def parameters() -> dict[str, Any]:
    """What psycopg connects with; an embedded server runs by then."""
    ensure_running_for(settings.DATABASES["default"])
    return {name: value for name, value in connector_params().items() if name not in OF_DJANGO}
