"""Why a file is not imported."""

from threadhub.lib.errors import Invalid


class ImportRefused(Invalid):
    """This file cannot be imported; nothing was written."""

    code = "import_refused"
