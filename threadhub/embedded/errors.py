"""The kind of error the launcher raises. The errors themselves stand beside what raises them."""

from threadhub.lib.errors import Failed


class EmbeddedPostgresError(Failed):
    """The embedded PostgreSQL cannot be used."""

    code = "embedded_postgres"


class DirectoryUnusable(EmbeddedPostgresError):
    """The data directory cannot be used for the embedded PostgreSQL."""

    code = "embedded_postgres_directory"


class DiskFull(EmbeddedPostgresError):
    """There is no space left on the disk of the embedded PostgreSQL."""

    code = "embedded_postgres_disk_full"


def from_os_error(error: OSError) -> EmbeddedPostgresError:
    """The sentence for an operating system error met in the data directory."""
    import errno

    reason = f"{error.strerror or error} ({error.filename})" if error.filename else str(error)
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return DiskFull(f"There is no space left on the disk for the embedded PostgreSQL: {reason}.")
    return DirectoryUnusable(f"The data directory cannot be used for the embedded PostgreSQL: {reason}.")
