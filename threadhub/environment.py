"""Settings from the environment; a value that cannot be read is a fault that names its variable."""

from typing import Any

import environ
from django.core.exceptions import ImproperlyConfigured

from threadhub.lib import client_address

FALSE = ("", "false", "off", "n", "no", "0")


class Environment(environ.Env):  # type: ignore[misc]
    """django-environ, loud on nonsense: neither a traceback about int() nor, for `DEBUG=maybe`, a quiet False."""

    def get_value(self, var: str, cast: Any = None, *args: Any, **kwargs: Any) -> Any:
        raw = self.ENVIRON.get(var, "")
        fault = ImproperlyConfigured(f"{var} has a value that cannot be read: {raw!r}.")
        if cast is bool and raw.lower() not in (*self.BOOLEAN_TRUE_STRINGS, *FALSE):
            raise fault
        try:
            return super().get_value(var, cast, *args, **kwargs)
        except (ValueError, TypeError) as error:
            raise fault from error

    def networks(self, var: str) -> tuple[client_address.Network, ...]:
        """Addresses and networks, with commas between them."""
        try:
            return client_address.networks(self.list(var, default=[]))
        except ValueError as error:
            raise ImproperlyConfigured(f"{var} has a value that cannot be read: {error}.") from error
