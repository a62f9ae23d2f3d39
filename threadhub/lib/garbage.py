"""What a process looks for garbage in: what it made since it was loaded, not the code, which is there for good."""

import gc

OFTEN = 10_000  # objects more than were given back, until the youngest are looked at; rows and records hold no rings


def keep_what_is_loaded() -> None:
    """Garbage is no longer looked for in what is there now: that took a quarter of a second each time, in the middle of
    somebody's request, and a third of a command's time with many rows."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(OFTEN, 10, 10)
