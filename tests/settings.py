"""The settings of the test run: the project's own, on an embedded PostgreSQL of its own that need not survive a crash.

TEST_DATABASE_URL makes it use a given server instead.
"""

import os
from contextvars import ContextVar
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TEST_DATA_DIR = ROOT / ".threadhub-test"

# Two test runs at once on one server need two databases.
DATABASE_SUFFIX = os.environ.get("THREADHUB_TEST_DB_SUFFIX", "")
for name in list(os.environ):
    if name.startswith(("THREADHUB_", "OPENAI_", "ANTHROPIC_")):
        del os.environ[name]  # nothing of the developer's own set-up may reach the tests
os.environ["DATABASE_URL"] = os.environ.get("TEST_DATABASE_URL", "")
os.environ["THREADHUB_DATA_DIR"] = str(TEST_DATA_DIR)
os.environ["THREADHUB_DURABLE"] = "0"
os.environ["SECRET_KEY"] = "the tests need no secret, but always the same one"

from threadhub.isolation import scope  # noqa: E402

OWNER = scope.Scope(owner=True)
# The tests' own code and threads see all rows. Requests and jobs begin with nothing, as they do everywhere.
scope._current = ContextVar("threadhub_scope", default=OWNER)

from threadhub.settings import *  # noqa: E402, F403

DATABASES["default"]["TEST"] = {"NAME": f"test_threadhub{DATABASE_SUFFIX}"}  # noqa: F405
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]  # signing in costs nothing
PROVIDER_RETRIES = 1
# Off, so that no test is refused by accident and that counts of queries do not depend on what a process has borrowed;
# tests/limits has them on, and counts what they cost.
RATE_LIMIT_KEY = RATE_LIMIT_SESSION = RATE_LIMIT_USER = RATE_LIMIT_ADDRESS = RATE_LIMIT_SIGN_IN = 0
STREAMS_KEY = STREAMS_USER = STREAMS_SESSION = STREAMS_ADDRESS = STREAMS_PROCESS = 0
# Of each process of the test run its own: tests look at what lies there.
FILES = TEST_DATA_DIR / os.environ.get("PYTEST_XDIST_WORKER", "alone")
for kind, directory in (("default", "attachments"), ("archive", "archive")):
    STORAGES[kind] = {  # noqa: F405
        "BACKEND": "django.core.files.storage.FileSystemStorage",
        "OPTIONS": {"location": str(FILES / directory)},
    }
