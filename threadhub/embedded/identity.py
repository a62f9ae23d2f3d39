"""As whom PostgreSQL runs. It refuses root, so root needs another way; anyone else runs it as themselves."""

import os
import pwd
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

from threadhub.embedded.errors import EmbeddedPostgresError
from threadhub.embedded.layout import Layout

# Any id but 0: inside its user namespace PostgreSQL sees it in place of root, outside nothing changes.
NAMESPACE_UID = 1000
NOBODY = 65534


class NoIdentity(EmbeddedPostgresError):
    """PostgreSQL refuses to run as root, and no other way to run it works here."""

    code = "embedded_postgres_root"


class Switch(TypedDict, total=False):
    """Arguments of `subprocess.run` that change the user."""

    user: int
    group: int
    extra_groups: list[int]


@dataclass(frozen=True)
class Identity:
    """A command prefix, or a user to switch to. The files must be `owner`'s; None leaves them as they are."""

    prefix: tuple[str, ...] = ()
    owner: tuple[int, int] | None = None

    def wrap(self, command: Sequence[str]) -> list[str]:
        return [*self.prefix, *command]

    def switch(self) -> Switch:
        if self.owner is None or self.prefix:
            return {}
        uid, gid = self.owner
        return {"user": uid, "group": gid, "extra_groups": []}

    def adopt(self, file: int) -> None:
        """Give an open file or directory to whom the server runs as."""
        if self.owner:
            os.fchown(file, *self.owner)


def choose(layout: Layout, program: Path) -> Identity:
    """Who can run `program` on this data directory; the directory is handed to them.

    A data directory that belongs to somebody stays theirs, so that they can use it later without root.
    Raises NoIdentity for a root that can become nobody.
    """
    if os.geteuid() != 0:
        return Identity()
    for identity in _for_root(layout):
        if identity.owner:
            _hand_over(layout.root, identity.owner)
        if _reaches(identity, program, layout.root):
            return identity
    raise NoIdentity(
        f"PostgreSQL refuses to run as root, and no other user can reach both {program} and {layout.root}."
    )


def _for_root(layout: Layout) -> Iterator[Identity]:
    """From least to most: a user namespace, another user, another user who passes closed directories."""
    cluster = layout.cluster if layout.cluster.exists() else layout.data_dir
    owner = cluster.lstat()
    if owner.st_uid == 0 and (unshare := shutil.which("unshare")):
        yield Identity((unshare, "--user", f"--map-user={NAMESPACE_UID}"))
    uid, gid = (owner.st_uid, owner.st_gid) if owner.st_uid else _nobody()
    yield Identity(owner=(uid, gid))
    if setpriv := shutil.which("setpriv"):
        # The clone or the data directory may lie below a closed directory such as /root, which stays closed.
        who = (f"--reuid={uid}", f"--regid={gid}", "--clear-groups")
        capability = ("--inh-caps=+dac_override", "--ambient-caps=+dac_override")
        yield Identity((setpriv, *who, *capability), owner=(uid, gid))


def _nobody() -> tuple[int, int]:
    try:
        entry = pwd.getpwnam("nobody")
    except KeyError:
        return NOBODY, NOBODY
    return entry.pw_uid, entry.pw_gid


def _reaches(identity: Identity, program: Path, directory: Path) -> bool:
    """Whether `identity` can be assumed at all, execute the program and write in the directory."""
    check = 'cd "$2" && test -w . && "$1" --version'
    try:
        done = subprocess.run(
            identity.wrap(["/bin/sh", "-c", check, "sh", str(program), str(directory)]),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            cwd="/",
            timeout=30,
            **identity.switch(),
        )
    except (OSError, subprocess.SubprocessError):
        return False
    return done.returncode == 0


def _hand_over(root: Path, owner: tuple[int, int]) -> None:
    """Give the tree to `owner`, its top last so that an interrupted change is resumed. Follows no links."""
    if root.lstat().st_uid == owner[0]:
        return
    for directory, _, files in os.walk(root, topdown=False):
        for name in files:
            os.chown(Path(directory, name), *owner, follow_symlinks=False)
        os.chown(directory, *owner, follow_symlinks=False)
