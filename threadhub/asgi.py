"""The application that a web process serves."""

import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "threadhub.settings")
os.environ.setdefault("DATABASE_POOL_SIZE", "16")

from django.core.asgi import get_asgi_application

application = get_asgi_application()
