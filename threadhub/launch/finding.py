from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check of `manage.py doctor` found."""

    name: str
    ok: bool
    detail: str
