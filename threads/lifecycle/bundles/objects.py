"""Reading from an object store (django-storages' S3Storage): by parts, and as a stream. Its own file object would hold
a whole bundle in memory before it gave the first byte."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any, cast

from threadhub.lib.errors import Failed

try:
    from botocore.exceptions import BotoCoreError, ClientError, ReadTimeoutError

    FAULTS: tuple[type[Exception], ...] = (BotoCoreError, ClientError, ReadTimeoutError)
except ImportError:  # the extra s3 is not installed, so nobody raises them
    FAULTS = ()

ABSENT = ("404", "NoSuchKey")


class StoreUnavailable(Failed):
    """The object store of the archive cannot be used; nothing was changed."""

    code = "archive_unavailable"


def is_object_store(storage: Any) -> bool:
    """Whether the storage is a bucket that this module can read."""
    return hasattr(storage, "bucket") and hasattr(storage, "_normalize_name")


@contextmanager
def reaching() -> Iterator[None]:
    """What a store answers, as an error of ours. Raises FileNotFoundError, StoreUnavailable."""
    try:
        yield
    except FAULTS as error:
        if _code(error) in ABSENT:
            raise FileNotFoundError("it is not in the object store") from error
        raise StoreUnavailable(f"The object store of the archive cannot be used: {_sentence(error)}") from error


def stream(storage: Any, name: str, *, first: int = 0, size: int | None = None) -> IO[bytes]:
    """An object, or `size` bytes of it from `first` on, as it arrives. Raises FileNotFoundError, StoreUnavailable."""
    wanted = {} if size is None else {"Range": f"bytes={first}-{first + size - 1}"}
    with reaching():
        answer = storage.bucket.Object(storage._normalize_name(name)).get(**wanted)
    return cast("IO[bytes]", _Body(answer["Body"]))


class _Body:
    """An object's bytes on their way."""

    def __init__(self, body: Any) -> None:
        self.body = body

    def read(self, size: int = -1) -> bytes:
        with reaching():
            data: bytes = self.body.read(None if size < 0 else size)
        return data

    def __enter__(self) -> "_Body":
        return self

    def __exit__(self, *error: object) -> None:
        self.body.close()


def _code(error: Exception) -> str:
    answer: dict[str, Any] = getattr(error, "response", {})
    return str(answer.get("Error", {}).get("Code", ""))


def _sentence(error: Exception) -> str:
    """The store's own words, on one line."""
    return " ".join(str(error).split()).rstrip(".") + "."
