"""Starting processes that outlive this one: own session, no terminal, no pipe of ours, and not our child."""

import os
import subprocess
from collections.abc import Mapping, Sequence

from threadhub.embedded.identity import Identity

# The shell ends at once, so the program is adopted by init: it leaves no zombie here when it ends.
BACKGROUND = '"$@" &'


def environment() -> dict[str, str]:
    """This process's environment without what changes how PostgreSQL starts or what language it speaks."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PG", "LC_")) and name != "LANG"}
    return {**kept, "LC_ALL": "C"}


def spawn(command: Sequence[str], *, identity: Identity, output: int, inherit: int, env: Mapping[str, str]) -> None:
    """Start `command` as `identity`, its output going to the file `output`, the file `inherit` open in it.

    A command that cannot be executed says so in `output`; this function does not notice.
    """
    subprocess.run(
        ["/bin/sh", "-c", BACKGROUND, "sh", *identity.wrap(command)],
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=output,
        pass_fds=(inherit,),
        start_new_session=True,
        cwd="/",
        env=env,
        check=True,
        **identity.switch(),
    )
