"""The page of threads: list, conversation and desk, and what can be done with a thread's life."""

from django.contrib import admin

from threadhub.console.conversations.desk import ThreadDesk
from threadhub.console.retention import thread_deeds
from threads.models import Thread


@admin.register(Thread)
class ThreadAdmin(ThreadDesk):
    deeds = thread_deeds.DEEDS
