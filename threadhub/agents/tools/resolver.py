"""The system's resolver, asked without holding up the event loop or the end of the process.

Every look-up has a thread of its own that ends with it, and the process does not wait for: a name server that
stays silent (tens of seconds, by the system's defaults) would otherwise fill the pool that all share.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import Sequence

MAX_LOOK_UPS = 32
_free = threading.BoundedSemaphore(MAX_LOOK_UPS)


async def resolve(host: str, port: int) -> Sequence[str]:
    """The addresses of `host` in the system's order of preference. Raises OSError; cancelling just stops waiting."""
    if not _free.acquire(blocking=False):
        raise OSError("Too many names are being looked up.")
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[Sequence[str]] = loop.create_future()

    def settle(addresses: Sequence[str], error: OSError | UnicodeError | None) -> None:
        if answer.done():  # nobody waits any more
            return
        if error is None:
            answer.set_result(addresses)
        else:
            answer.set_exception(error)

    def look_up() -> None:
        addresses: Sequence[str] = ()
        fault: OSError | UnicodeError | None = None
        try:
            addresses = _addresses(host, port)
        except (OSError, UnicodeError) as error:
            fault = error
        finally:
            _free.release()
        with contextlib.suppress(RuntimeError):  # the loop has closed meanwhile
            loop.call_soon_threadsafe(settle, addresses, fault)

    threading.Thread(target=look_up, name="resolver", daemon=True).start()
    return await answer


def _addresses(host: str, port: int) -> list[str]:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [_text(sockaddr) for *_, sockaddr in found]


def _text(sockaddr: tuple[object, ...]) -> str:
    """`fe80::1%2` with its scope, where it has one: the guard refuses those."""
    scope = sockaddr[3] if len(sockaddr) == 4 else 0
    address = str(sockaddr[0])
    return address if not scope or "%" in address else f"{address}%{scope}"
