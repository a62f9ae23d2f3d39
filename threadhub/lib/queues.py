"""The queues that every worker takes jobs from: answers; what follows them, and nobody waits for; upkeep."""

import math

QUEUES = ("runs", "afterwards", "upkeep")


def count_workers(heartbeats: int) -> int:
    """Workers that are alive, by the number of recent heartbeats. Each worker sends one for each queue."""
    return math.ceil(heartbeats / len(QUEUES))
