"""What `manage.py doctor` looks at: each check is one sentence, and whether it is well."""

import os
import time
from collections.abc import Callable, Iterator
from datetime import timedelta

import psycopg
from django.conf import settings
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.db import connection
from django.db.models import Count
from django.utils import timezone

from threadhub.agents.models import Agent
from threadhub.agents.providers.registry import missing
from threadhub.isolation import walls
from threadhub.isolation.scope import Door, as_owner, by_door
from threadhub.launch import faults, installation, retention_examination
from threadhub.launch.finding import Finding
from threadhub.lib import ids
from threadhub.lib.errors import DomainError
from threadhub.lib.queues import count_workers
from threadhub.tasks import DEAD_AFTER_SECONDS
from threadhub.workspaces.models import Workspace
from threads import search_backlog, stray_files
from threads.lifecycle.erasure import replay
from threads.models import Erasure, Run

MAX_SKEW_SECONDS = 1.0  # leases are tens of seconds; access tokens are checked to the second
STUCK_AFTER = timedelta(seconds=60)  # past its lease: every worker ends lost runs each ten seconds
STRAY_AFTER = 2 * stray_files.AGE  # the worker removes them once a day
UNFINISHED_AFTER = timedelta(hours=1)
SECRET_KEY_LENGTH = 32
RATE_LIMITS = ("RATE_LIMIT_KEY", "RATE_LIMIT_USER", "RATE_LIMIT_SESSION", "RATE_LIMIT_ADDRESS", "RATE_LIMIT_SIGN_IN")


def examine() -> Iterator[Finding]:
    """Every finding, one after the other. Without a usable database its contents are not looked at."""
    yield from _settings()
    yield storage()
    yield retention_examination.archive()
    reachable = database()
    yield reachable
    if not reachable.ok:
        return
    yield clock()
    complete = migrations()
    yield complete
    if complete.ok:
        yield indexes()
        yield isolation()
        yield worker()
        yield runs()
        yield search()
        yield attachments()
        yield retention_examination.bundles()
        yield retention_examination.sweeps()
        yield erasures()
        yield from providers()


def database() -> Finding:
    try:
        version = installation.check_version()
    except (DomainError, psycopg.Error) as error:
        return Finding("database", False, faults.sentence(error) or str(error))
    where = "DATABASE_URL" if os.environ.get("DATABASE_URL") else f"embedded in {settings.DATA_DIR}"
    return Finding("database", True, f"PostgreSQL {version // 10_000}.{version % 10_000} answers ({where}).")


def migrations() -> Finding:
    pending = installation.pending_migrations()
    if not pending:
        return Finding("migrations", True, "All are applied.")
    return Finding("migrations", False, f"{len(pending)} are missing, first {pending[0]}: run `manage.py migrate`.")


@as_owner()
def indexes() -> Finding:
    """Whether PostgreSQL uses all of them: one whose making was interrupted stays, is written, and never read."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT indexrelid::regclass::text FROM pg_index JOIN pg_class ON pg_class.oid = indrelid"
            " WHERE NOT indisvalid AND relnamespace = 'public'::regnamespace ORDER BY 1"
        )
        broken = [name for (name,) in cursor.fetchall()]
    if not broken:
        return Finding("indexes", True, "All are whole.")
    statements = "; ".join(f"REINDEX INDEX CONCURRENTLY {name}" for name in broken)
    return Finding("indexes", False, f"Not used, as they were not made to the end: {statements};")


@as_owner()
def isolation() -> Finding:
    """Every table with a workspace has its wall; and whether searches can use their indexes behind it."""
    with connection.cursor() as cursor:
        open_tables = [table for table, walled in walls.tables(cursor) if not walled]
        unmarked = walls.unmarked(cursor)
    if open_tables:
        return Finding("isolation", False, f"No row-level security on {', '.join(open_tables)}: run migrate.")
    if unmarked:
        statements = "; ".join(walls.marks(unmarked))
        return Finding("isolation", True, f"Searches would be faster once a superuser has run: {statements};")
    return Finding("isolation", True, "Row-level security stands on every table with a workspace.")


def worker() -> Finding:
    """Alive means: its heartbeat is recent. Only `up` makes sure that it also takes jobs."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM procrastinate_workers WHERE last_heartbeat > now() - make_interval(secs => %s)",
            [DEAD_AFTER_SECONDS],
        )
        (heartbeats,) = cursor.fetchone()
    if heartbeats:
        return Finding("worker", True, f"{count_workers(heartbeats)} alive.")
    return Finding("worker", False, f"No sign of life in {DEAD_AFTER_SECONDS:.0f} seconds: run `manage.py work`.")


def runs() -> Finding:
    stuck = Run.objects.lost(timezone.now() - STUCK_AFTER).count()
    if stuck:
        return Finding("runs", False, f"{stuck} are past their lease and nobody ends them: is a worker running?")
    return Finding("runs", True, "None is stuck.")


@by_door(Door.EXAMINATION)
def search() -> Finding:
    """Whether messages wait to be found."""
    waiting = search_backlog.waiting()
    if waiting:
        return Finding(
            "search", True, f"{waiting:,} messages that came back in bulk are found once a worker is through."
        )
    return Finding("search", True, "Every message can be found.")


@by_door(Door.EXAMINATION)
def attachments() -> Finding:
    """Every attachment has its file, and every file an attachment; what a crash left goes each day."""
    try:
        lost = list(stray_files.missing())
        stray = list(stray_files.unreferenced(before=timezone.now() - STRAY_AFTER))
    except Exception as error:  # noqa: BLE001  any storage, so any error, as in `storage`
        return Finding("attachments", False, f"Attachments cannot be looked at: {error}.")
    said = [f"{len(lost)} are referred to and not stored, such as {lost[0]}"] if lost else []
    said += [f"{len(stray)} are stored and nothing refers to them, such as {stray[0]}"] if stray else []
    if said:
        return Finding("attachments", False, f"Files: {'; '.join(said)}.")
    return Finding("attachments", True, "Each has its file, and each file what refers to it.")


@by_door(Door.EXAMINATION)
def erasures() -> Finding:
    """Nobody who was erased is there again, as after the restore of an older backup; none is half erased for long."""
    again = sum(len(replay.find(workspace_id=pk)) for pk in Workspace.objects.values_list("pk", flat=True))
    if again:
        sentence = f"{again} erased people are there again: run `manage.py erase_person --replay --yes`."
        return Finding("erasures", False, sentence)
    lost = sum(replay.unrecognisable(workspace_id=pk) for pk in Workspace.objects.values_list("pk", flat=True))
    if lost:
        sentence = f"{lost} of the ledger are under a SECRET_KEY that is gone: put it into SECRET_KEY_FALLBACKS."
        return Finding("erasures", False, sentence)
    late = Erasure.objects.filter(state__in=("running", "blocked"), confirmed_at__lt=timezone.now() - UNFINISHED_AFTER)
    if late.exists():
        return Finding("erasures", False, f"{late.count()} are unfinished: run `manage.py erase_person --resume`.")
    return Finding("erasures", True, "Nobody who was erased is there.")


def providers() -> Iterator[Finding]:
    """One finding for each provider that active agents use."""
    used = Agent.objects.filter(active=True).values_list("provider").annotate(agents=Count("pk")).order_by("provider")
    for name, agents in used:
        lacking = missing(name, settings.PROVIDERS)
        whose = f"used by {agents} agent{'s' if agents != 1 else ''}"
        yield Finding(f"provider {name}", lacking is None, f"{lacking or 'It can be used.'} ({whose})")


@as_owner()
def clock() -> Finding:
    """The database's clock against this process's, at the middle of the question."""
    with connection.cursor() as cursor:
        before = time.time()
        cursor.execute("SELECT extract(epoch FROM clock_timestamp())")
        (there,) = cursor.fetchone()
        skew = float(there) - (before + time.time()) / 2
    agrees = abs(skew) <= MAX_SKEW_SECONDS
    return Finding("clock", agrees, f"The database's is {skew:+.3f} s from this machine's.")


def storage() -> Finding:
    """Writes, reads and removes a small file where attachments are kept."""
    content = b"threadhub doctor"
    try:
        name = default_storage.save(f"doctor-{ids.new()}", ContentFile(content))
        with default_storage.open(name) as file:
            same = file.read() == content
        default_storage.delete(name)
    except Exception as error:  # noqa: BLE001  any storage, so any error: it is what was looked for
        return Finding("storage", False, f"Attachments cannot be stored: {error}.")
    return Finding("storage", same, "Attachments can be stored." if same else "Attachments come back changed.")


def _settings() -> Iterator[Finding]:
    checks: dict[str, tuple[Callable[[], bool], str, str]] = {
        "DEBUG": (lambda: not settings.DEBUG, "Off.", "On: errors show settings and source code to everybody."),
        "SECRET_KEY": (
            lambda: len(settings.SECRET_KEY) >= SECRET_KEY_LENGTH,
            "Set." if os.environ.get("SECRET_KEY") else "Made for this data directory; set it for several machines.",
            f"Shorter than {SECRET_KEY_LENGTH} characters, so that tokens could be forged.",
        ),
        "SECRET_KEY_FALLBACKS": (
            lambda: all(len(key) >= SECRET_KEY_LENGTH for key in settings.SECRET_KEY_FALLBACKS),
            "None."
            if not settings.SECRET_KEY_FALLBACKS
            else "Set: remove them once what they signed has expired; the ledger of erasures never does.",
            f"One is shorter than {SECRET_KEY_LENGTH} characters, so that tokens could be forged.",
        ),
        "THREADHUB_ENV": (
            lambda: settings.PRODUCTION or settings.SECURE_HSTS_SECONDS == 0,
            "production."
            if settings.PRODUCTION
            else "development: cookies also go over plain HTTP; not for a network.",
            "HSTS is on outside of production.",
        ),
        "TLS": (
            lambda: not settings.PRODUCTION or (settings.SECURE_SSL_REDIRECT and settings.SECURE_HSTS_SECONDS > 0),
            "Demanded." if settings.PRODUCTION else "Not demanded outside of production.",
            "SECURE_SSL_REDIRECT or SECURE_HSTS_SECONDS is off: passwords and keys may go over the network in clear.",
        ),
        "CORS_ALLOWED_ORIGINS": (
            lambda: (
                all(origin.startswith("https://") for origin in settings.CORS_ALLOWED_ORIGINS)
                or not settings.PRODUCTION
            ),
            f"{', '.join(settings.CORS_ALLOWED_ORIGINS) or 'none'}.",
            "Pages that came over plain HTTP, which anybody on the way may change, are let in.",
        ),
        "limits": (
            lambda: all(getattr(settings, name) for name in RATE_LIMITS),
            "On.",
            f"Off: {', '.join(name for name in RATE_LIMITS if not getattr(settings, name))}.",
        ),
        "ALLOWED_HOSTS": (
            lambda: "*" not in settings.ALLOWED_HOSTS,
            f"{', '.join(settings.ALLOWED_HOSTS)}.",
            "`*` lets a request choose the address in links and page cursors.",
        ),
    }
    for name, (well, good, bad) in checks.items():
        yield Finding(name, well(), good if well() else bad)
