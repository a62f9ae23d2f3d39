"""A child process ends with its parent, even one that was killed and so could not say goodbye.

The parent holds the writing end of the child's standard input and never writes. However the parent ends, the
system closes that end, the child reads the end of its input, and asks itself to stop. Unlike Linux's
PR_SET_PDEATHSIG this works on every system and depends on no thread of the parent.
"""

import os
import signal
import sys
import threading


def hold() -> None:
    """Send this process SIGTERM once its standard input ends."""
    threading.Thread(target=_wait, name="lifeline", daemon=True).start()


def _wait() -> None:
    try:
        while os.read(sys.__stdin__.fileno() if sys.__stdin__ else 0, 1024):
            pass
    except OSError:
        pass  # a closed input is an ended one
    os.kill(os.getpid(), signal.SIGTERM)
