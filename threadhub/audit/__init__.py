"""The permanent record of writes and sensitive reads: `audit.record(actor=…, action="thread.delete", ids=[…])`."""

from threadhub.audit.origins import Face, Origin, origin
from threadhub.audit.recording import By, Who, record, record_once

__all__ = ["By", "Face", "Origin", "Who", "origin", "record", "record_once"]
