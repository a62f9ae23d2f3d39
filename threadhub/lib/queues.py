"""The queues that every worker takes jobs from: answers; what follows them, and nobody waits for; upkeep."""

import math

QUEUES = ("runs", "afterwards", "upkeep")


def workers(heartbeats: int) -> int:
    """How many workers so many heartbeats are of: each says of each queue that it lives."""
    return math.ceil(heartbeats / len(QUEUES))
