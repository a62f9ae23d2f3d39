"""The permanent record of writes and sensitive reads: `audit.record(actor=…, action="thread.delete", ids=[…])`."""

from threadhub.audit.origins import Face, Origin, origin
from threadhub.audit.recording import By, Who, record, record_all, record_each_once, record_once, values, was_told
from threadhub.audit.sql import part

__all__ = [
    "By", "Face", "Origin", "Who", "origin", "part", "record", "record_all", "record_each_once", "record_once",
    "values", "was_told",
]  # fmt: skip
