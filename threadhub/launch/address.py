"""Where the web server listens: checked before anything is started, and spelled for people and for the server."""

import socket
from dataclasses import dataclass

from threadhub.agents.origins import normal_origin
from threadhub.lib.errors import Failed, Invalid

EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104  listening there is the caller's wish
LOCAL = ("127.0.0.1", "::1")


class PortInvalid(Invalid):
    """--port must be a number from 0 to 65535."""

    code = "port_invalid"


class AddressUnusable(Failed):
    """The address cannot be listened on."""

    code = "address_unusable"


@dataclass(frozen=True, slots=True)
class Address:
    """An IP address and a port that were free a moment ago."""

    ip: str
    port: int

    @classmethod
    def free(cls, host: str, port: str) -> "Address":
        """Look the host up and try the port; port 0 becomes a free one. Raises PortInvalid, AddressUnusable."""
        if not (port.isascii() and port.isdigit() and int(port) < 2**16):
            raise PortInvalid(f"--port must be a number from 0 to 65535, not {port!r}.")
        try:
            family, _, _, _, place = socket.getaddrinfo(host, int(port), type=socket.SOCK_STREAM)[0]
        except (OSError, UnicodeError) as error:
            raise AddressUnusable(f"The host {host!r} is unknown here.") from error
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            # As servers do: a port whose last connections are still ending is free. One that is listened on is not.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(place)
                probe.listen(1)
            except OSError as error:
                reason = error.strerror or str(error)
                raise AddressUnusable(
                    f"Cannot listen on {host} port {port}: {reason}. Choose another with --port."
                ) from error
            ip, number = probe.getsockname()[:2]
        return cls(str(ip), int(number))

    @property
    def reachable_ip(self) -> str:
        """Where to reach it from this machine."""
        return EVERYWHERE.get(self.ip, self.ip)

    @property
    def url(self) -> str:
        ip = self.reachable_ip
        return f"http://[{ip}]:{self.port}" if ":" in ip else f"http://{ip}:{self.port}"

    @property
    def origins(self) -> list[str]:
        """How browsers of this machine spell its pages' origin."""
        here = normal_origin(self.url)
        local = normal_origin(f"http://localhost:{self.port}")
        return [here, local] if self.reachable_ip in LOCAL else [here]

    def allowed_hosts(self, allowed: list[str]) -> list[str]:
        """`allowed` (ALLOWED_HOSTS), and the names by which a host other than loopback will be called."""
        if self.ip in LOCAL:
            return allowed
        extra = [socket.gethostname()] if self.ip in EVERYWHERE else []
        return [*allowed, f"[{self.ip}]" if ":" in self.ip else self.ip, *extra]
