"""How much CPU the processes of a hub have taken, by what they do (Linux: read from /proc)."""

import os
import time
from pathlib import Path

from tests import processes
from tests.hub import Hub

TICKS = os.sysconf("SC_CLK_TCK")
IDLE_SECONDS = 5.0


def of(pid: int) -> float:
    """Seconds of a process, with all of its threads."""
    stat = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
    return sum(int(ticks) for ticks in stat[11:13]) / TICKS


def postgres(hub: Hub) -> float:
    """Seconds that the server has taken, with all of its processes, ended ones too."""
    (pid_file,) = hub.data_dir.rglob("postmaster.pid")
    postmaster = int(pid_file.read_text().split()[0])
    total = 0
    for entry in Path("/proc").iterdir():
        try:
            stat = (entry / "stat").read_text().rpartition(") ")[2].split() if entry.name.isdigit() else []
        except (FileNotFoundError, ProcessLookupError):
            continue
        if stat and int(entry.name) == postmaster:
            total += sum(int(ticks) for ticks in stat[11:15])
        elif stat and int(stat[1]) == postmaster:
            total += int(stat[11]) + int(stat[12])
    return total / TICKS


class Roles:
    """A hub's worker, its web process and its database."""

    def __init__(self, hub: Hub) -> None:
        self.hub = hub
        self.pids: dict[str, list[int]] = {"worker": [], "web": []}
        for each in processes.descendants(os.getpid()):
            command = processes.command_of(each)
            role = "worker" if " work " in f"{command} " else "web" if "launch.web" in command else None
            if role:
                self.pids[role].append(each.pid)

    def cpu(self) -> dict[str, float]:
        """Seconds of each so far."""
        return {role: sum(map(of, pids)) for role, pids in self.pids.items()} | {"postgres": postgres(self.hub)}

    def idle(self) -> dict[str, float]:
        """Seconds of each in a second in which nobody asks anything."""
        before = self.cpu()
        time.sleep(IDLE_SECONDS)
        return {role: (after - before[role]) / IDLE_SECONDS for role, after in self.cpu().items()}
