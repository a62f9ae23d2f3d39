"""All settings, from the environment (and `.env`) only. README.md has the table."""

import logging
import os
from pathlib import Path

import structlog
from django.core.exceptions import ImproperlyConfigured

from threadhub import database_url, embedded, production
from threadhub.agents.prices import PriceTable
from threadhub.agents.providers.settings import ProviderSettings
from threadhub.console import look as console
from threadhub.environment import Environment
from threadhub.lib.version import VERSION

BASE_DIR = Path(__file__).resolve().parent.parent
env = Environment()
env.read_env(BASE_DIR / ".env")

# The directory of everything this installation makes by itself: embedded database, attachments, first-start secrets.
DATA_DIR = Path(env.str("THREADHUB_DATA_DIR", default="") or BASE_DIR / ".threadhub").absolute()

DEBUG = env.bool("DEBUG", default=False)
# "production" wants a SECRET_KEY and TLS (threadhub/production.py).
PRODUCTION = production.asked(env.str("THREADHUB_ENV", default=production.DEVELOPMENT))
SECRET_KEY = production.secret_key(
    env.str("SECRET_KEY", default=""), production=PRODUCTION, kept=DATA_DIR / "secret_key"
)
# Keys that signed and sealed before this one: what they made is still good.
SECRET_KEY_FALLBACKS = env.list("SECRET_KEY_FALLBACKS", default=[])
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=["localhost", "127.0.0.1", "[::1]"])
CSRF_TRUSTED_ORIGINS = env.list("CSRF_TRUSTED_ORIGINS", default=[])
# Proxies whose X-Forwarded-For is believed, as addresses or networks.
TRUSTED_PROXIES = env.networks("TRUSTED_PROXIES")
# The header in which those proxies say that their client came over TLS, e.g. X-Forwarded-Proto.
SECURE_PROXY_SSL_HEADER = production.proxy_ssl_header(
    env.str("SECURE_PROXY_SSL_HEADER", default=""), proxies=TRUSTED_PROXIES
)

INSTALLED_APPS = [
    "unfold.apps.BasicAppConfig",
    "unfold.contrib.filters",
    "threadhub.console.apps.ConsoleSiteConfig",  # django.contrib.admin
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.postgres",
    "rest_framework",
    "django_filters",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "corsheaders",
    "django_structlog",
    "procrastinate.contrib.django",
    "threadhub",
    "threadhub.audit",
    "threadhub.limits",
    "threadhub.workspaces",
    "threadhub.agents",
    "chat_sessions",
    "threads",
    "threadhub.api",
    "threadhub.console",
    "threadhub.chat",
]

API_MIDDLEWARE = [  # all that requests of the API go through, when they are served (threadhub/handler.py)
    "threadhub.middleware.Nowhere",
    "threadhub.middleware.Guarded",
    "threadhub.api.middleware.ApiErrors",  # for what the next ones refuse; within, once more, with the request's id
    "django.middleware.security.SecurityMiddleware",
    "threadhub.handler.StaticFiles",
    "threadhub.api.cors.Cors",
    "threadhub.request_log.RequestLog",
    "threadhub.origin.SetOrigin",
    "threadhub.api.middleware.ApiErrors",
    "threadhub.api.etags.EntityTags",
]
MIDDLEWARE = [
    *API_MIDDLEWARE,
    "threadhub.console.middleware.ContentSecurityPolicy",
    "threadhub.middleware.Sessions",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "threadhub.middleware.Users",
    "threadhub.console.middleware.StaffScope",
    "threadhub.middleware.Messages",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
APPEND_SLASH = True  # the admin's own addresses end in a slash; API paths are exempt (threadhub/api/middleware.py)

ROOT_URLCONF = "threadhub.urls"
ASGI_APPLICATION = "threadhub.asgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "threadhub" / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]

# Database: DATABASE_URL, or the embedded PostgreSQL under DATA_DIR, started by the first process that connects.
if env.str("DATABASE_URL", default=""):
    DATABASES = {"default": database_url.parse(env.str("DATABASE_URL"))}
else:
    DATABASES = {
        "default": {
            "ENGINE": "threadhub.embedded.backend",
            "THREADHUB_DATA_DIR": DATA_DIR,
            "THREADHUB_DURABLE": env.bool("THREADHUB_DURABLE", default=True),
            **embedded.connection_settings(DATA_DIR),
        }
    }
DATABASES["default"]["CONN_MAX_AGE"] = 0
DATABASES["default"]["CONN_HEALTH_CHECKS"] = True  # how, isolation/backend/pool.py says
# Connections that the threads of one web process or worker share; 0 (commands, tests) connects when needed.
# THREADHUB_POOLED is set by asgi.py and by `manage.py work`, not by people.
DATABASE_POOL_SIZE = env.int("DATABASE_POOL_SIZE", default=16 if env.bool("THREADHUB_POOLED", default=False) else 0)
# The statements of hot requests stay prepared on their connections; not behind a PgBouncer older than 1.21.
DATABASE_PREPARED = env.bool("DATABASE_PREPARED", default=True)
if DATABASE_POOL_SIZE:
    DATABASES["default"].setdefault("OPTIONS", {})["pool"] = {
        "min_size": 1,
        "max_size": DATABASE_POOL_SIZE,
        "timeout": env.float("DATABASE_POOL_SECONDS", default=10),  # then the request is answered with 503
    }
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

AUTH_USER_MODEL = "workspaces.User"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in ("UserAttributeSimilarityValidator", "MinimumLengthValidator", "CommonPasswordValidator")
]
LOGIN_URL = "admin:login"
LOGIN_REDIRECT_URL = "admin:index"

LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"
USE_I18N = True
USE_TZ = True

STATIC_URL = "/static/"
WHITENOISE_USE_FINDERS = True  # no collectstatic step: files come straight from the installed packages
STORAGES = {
    "default": {
        "BACKEND": env.str("ATTACHMENT_STORAGE", default="django.core.files.storage.FileSystemStorage"),
        "OPTIONS": env.json("ATTACHMENT_STORAGE_OPTIONS", default={"location": str(DATA_DIR / "attachments")}),
    },
    # Bundles of archived threads; another file system than the attachments' is fine.
    "archive": {
        "BACKEND": env.str("ARCHIVE_STORAGE", default="django.core.files.storage.FileSystemStorage"),
        "OPTIONS": env.json("ARCHIVE_STORAGE_OPTIONS", default={"location": str(DATA_DIR / "archive")}),
    },
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}
ATTACHMENT_MAX_BYTES = env.int("ATTACHMENT_MAX_BYTES", default=10 * 2**20)
ATTACHMENT_TYPES = env.list(
    "ATTACHMENT_TYPES",
    default=[
        "image/png",
        "image/jpeg",
        "image/gif",
        "image/webp",
        "application/pdf",
        "text/plain",
        "text/markdown",
    ],
)
REQUEST_MAX_BYTES = env.int("REQUEST_MAX_BYTES", default=16 * 2**20)
DATA_UPLOAD_MAX_MEMORY_SIZE = REQUEST_MAX_BYTES
MESSAGES_REMEMBERED_BYTES = env.int("MESSAGES_REMEMBERED_BYTES", default=64 * 2**20)

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["threadhub.api.authentication.TokenAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["threadhub.api.permissions.DeclaredPermission"],
    "DEFAULT_PARSER_CLASSES": ["threadhub.api.parsers.AnyJSONParser"],
    "DEFAULT_RENDERER_CLASSES": ["threadhub.api.renderers.ORJSONRenderer"],
    "DEFAULT_CONTENT_NEGOTIATION_CLASS": "threadhub.api.renderers.AnyAccept",
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "EXCEPTION_HANDLER": "threadhub.api.errors.handle",
    "URL_FORMAT_OVERRIDE": None,
    "UNAUTHENTICATED_USER": None,
    "UNAUTHENTICATED_TOKEN": None,
}
SPECTACULAR_SETTINGS = {
    "TITLE": "threadhub",
    "DESCRIPTION": "Threads, messages, agents and runs of the self-hosted hub for AI conversations.",
    "VERSION": VERSION,
    "SERVE_INCLUDE_SCHEMA": False,
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "REDOC_DIST": "SIDECAR",
    "COMPONENT_SPLIT_REQUEST": True,
    "PREPROCESSING_HOOKS": ["threadhub.api.ai.schema.without_alias"],
    "POSTPROCESSING_HOOKS": [],  # choices stand where they are used: as components their names would be made up
}

CORS_ALLOWED_ORIGINS = env.list("CORS_ALLOWED_ORIGINS", default=[])
CORS_ALLOW_HEADERS = [
    "accept",
    "authorization",
    "content-type",
    "idempotency-key",
    "if-none-match",
    "last-event-id",
    "x-api-key",
    "x-bypass-admin",
    "x-end-user",
    "x-impersonate-user",
    "x-impersonate-workspace",
]
CORS_EXPOSE_HEADERS = [
    "content-disposition",
    "content-location",
    "etag",
    "idempotent-replayed",
    "link",
    "location",
    "ratelimit",
    "ratelimit-policy",
    "retry-after",
    "threadhub-warning",
]
CORS_URLS_REGEX = (
    r"^/(api|threads|agents|access_alerts|api_keys|approvals|audit_events|chat_sessions|search|tools|workspaces|usage"
    r"|budget|invitations|end_users|erasures|exports|holds|retention_policies|retention_settings)(/|$)"
)

# Requests a minute (threadhub/limits); 0: without limit.
RATE_LIMIT_KEY = env.int("RATE_LIMIT_KEY", default=60_000)
RATE_LIMIT_SESSION = env.int("RATE_LIMIT_SESSION", default=600)
RATE_LIMIT_USER = env.int("RATE_LIMIT_USER", default=3_000)
RATE_LIMIT_ADDRESS = env.int("RATE_LIMIT_ADDRESS", default=600)  # of who is not known (yet)
RATE_LIMIT_SIGN_IN = env.int("RATE_LIMIT_SIGN_IN", default=10)  # wrong passwords for one name from one address

# Answers that are streamed or waited for at once (threadhub/limits/streams.py); 0: without limit.
STREAMS_KEY = env.int("STREAMS_KEY", default=2_000)
STREAMS_USER = env.int("STREAMS_USER", default=100)
STREAMS_SESSION = env.int("STREAMS_SESSION", default=20)
STREAMS_ADDRESS = env.int("STREAMS_ADDRESS", default=500)  # of chat sessions
STREAMS_PROCESS = env.int("STREAMS_PROCESS", default=3_000)  # below granian's backpressure, so that it is told
STREAM_LEASE_SECONDS = env.float("STREAM_LEASE_SECONDS", default=30)

# Lifetimes, in seconds.
ACCESS_TOKEN_SECONDS = env.int("ACCESS_TOKEN_SECONDS", default=300 * 60)
REFRESH_TOKEN_SECONDS = env.int("REFRESH_TOKEN_SECONDS", default=30 * 24 * 3600)
CHAT_TOKEN_SECONDS = env.int("CHAT_TOKEN_SECONDS", default=3600)
CHAT_SESSION_SECONDS = env.int("CHAT_SESSION_SECONDS", default=30 * 24 * 3600)
CHAT_SESSION_IDLE_SECONDS = env.int("CHAT_SESSION_IDLE_SECONDS", default=7 * 24 * 3600)
# Open at once from one address with one agent, of visitors whom nobody vouches for; 0: without limit.
CHAT_SESSIONS_PER_ADDRESS = env.int("CHAT_SESSIONS_PER_ADDRESS", default=1_000)
# An ended session's row is removed after this; its threads stay.
CHAT_SESSION_KEPT_SECONDS = env.int("CHAT_SESSION_KEPT_SECONDS", default=30 * 24 * 3600)
SIGNUP_ENABLED = env.bool("SIGNUP_ENABLED", default=False)
# The id of the workspace that people who sign up become members of; empty: each gets a workspace of their own.
SIGNUP_WORKSPACE = env.str("SIGNUP_WORKSPACE", default="")

# Model services: addresses and keys by the vendors' own variables. An agent names the provider it uses.
PROVIDERS = ProviderSettings.from_environ(os.environ)
# How often a call is tried again that failed for a passing reason before it said anything.
PROVIDER_RETRIES = env.int("PROVIDER_RETRIES", default=2)
PROVIDER_TIMEOUT_SECONDS = env.int("PROVIDER_TIMEOUT_SECONDS", default=120)

# What models cost (threadhub/agents/prices.py): JSON, or the path of a file with it.
PRICES = PriceTable.parse(env.str("THREADHUB_PRICES", default=""))

# Private addresses that tools may reach all the same: "10.1.0.0/16, 127.0.0.1:8080, intranet.example".
TOOL_ALLOWED_NETWORKS = env.str("TOOL_ALLOWED_NETWORKS", default="")

# Runs: a worker renews its lease on a run; a run without a lease is ended.
# Events of a finished run stand as rows this long; later replays are made from the messages.
RUN_EVENTS_KEPT_SECONDS = env.int("RUN_EVENTS_KEPT_SECONDS", default=24 * 3600)
RUN_LEASE_SECONDS = env.int("RUN_LEASE_SECONDS", default=30)
# A queued run that no worker took by then is expired.
RUN_QUEUE_SECONDS = env.int("RUN_QUEUE_SECONDS", default=600)
# A call of a tool that needs an approval and is not decided by then is refused.
APPROVAL_SECONDS = env.int("APPROVAL_SECONDS", default=24 * 3600)
# Pieces of an answer that come faster than this are stored and sent together.
RUN_FLUSH_SECONDS = env.float("RUN_FLUSH_SECONDS", default=0.03)
WORKER_CONCURRENCY = env.int("WORKER_CONCURRENCY", default=20)

# Access out of the ordinary (threadhub/audit/watching.py): limits per actor and window.
ACCESS_WINDOW_SECONDS = env.int("ACCESS_WINDOW_SECONDS", default=300)
ACCESS_MISSING_LIMIT = env.int("ACCESS_MISSING_LIMIT", default=50)
ACCESS_READS_LIMIT = env.int("ACCESS_READS_LIMIT", default=1000)
ACCESS_KEY_READS_LIMIT = env.int("ACCESS_KEY_READS_LIMIT", default=20000)
# Where alerts are posted to, signed with the secret.
ACCESS_ALERT_WEBHOOK = env.str("ACCESS_ALERT_WEBHOOK", default="")
ACCESS_ALERT_SECRET = env.str("ACCESS_ALERT_SECRET", default="")
if ACCESS_ALERT_WEBHOOK and not ACCESS_ALERT_SECRET:
    raise ImproperlyConfigured("ACCESS_ALERT_WEBHOOK needs ACCESS_ALERT_SECRET, which signs what is sent.")

SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = PRODUCTION
CSRF_COOKIE_SAMESITE = "Lax"
SECURE_SSL_REDIRECT = env.bool("SECURE_SSL_REDIRECT", default=PRODUCTION)
SECURE_REDIRECT_EXEMPT = ["^health$"]  # load balancers ask in plain HTTP
SECURE_HSTS_SECONDS = env.int("SECURE_HSTS_SECONDS", default=365 * 24 * 3600 if PRODUCTION else 0)
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = env.bool("SECURE_HSTS_SUBDOMAINS", default=False)
# The domain's other names are not ours to decide about: HSTS for them (W005) and preloading (W021) are for its owner.
SILENCED_SYSTEM_CHECKS = ["security.W005", "security.W021"]
SECURE_REFERRER_POLICY = "same-origin"
SECURE_CROSS_ORIGIN_OPENER_POLICY = "same-origin"
SECURE_CONTENT_TYPE_NOSNIFF = True
X_FRAME_OPTIONS = "DENY"

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"plain": {"format": "%(asctime)s %(levelname)s %(name)s %(message)s"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "plain"}},
    "root": {"handlers": ["stderr"], "level": env.str("LOG_LEVEL", default="WARNING")},
    # What clients get wrong is the request log's, at INFO.
    "loggers": {"django.request": {"level": "ERROR"}, "django.security": {"level": "CRITICAL"}},
}
DJANGO_STRUCTLOG_STATUS_START_LOG_LEVEL = logging.INFO  # the library's own too: what is not set is looked for in vain
DJANGO_STRUCTLOG_STATUS_2XX_LOG_LEVEL = logging.INFO
DJANGO_STRUCTLOG_STATUS_4XX_LOG_LEVEL = logging.INFO
DJANGO_STRUCTLOG_IP_LOGGING_ENABLED = False  # origin.py says the address, and believes known proxies only
DJANGO_STRUCTLOG_REQUEST_CANCELLED_LOG_LEVEL = logging.INFO  # readers come and go
# Requests are logged at level INFO, with their request_id; below LOG_LEVEL they cost next to nothing.
structlog.configure(
    processors=[
        structlog.stdlib.filter_by_level,
        structlog.contextvars.merge_contextvars,
        structlog.processors.format_exc_info,
        structlog.processors.KeyValueRenderer(key_order=["event"]),
    ],
    logger_factory=structlog.stdlib.LoggerFactory(),
    cache_logger_on_first_use=True,
)
os.environ.setdefault("PYDANTIC_AI_NO_TELEMETRY", "1")

UNFOLD = console.UNFOLD
