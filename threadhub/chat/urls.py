"""Addresses of the chat page and of its widget, under /chat/."""

from django.urls import path

from threadhub.chat.views import page, widget

urlpatterns = [
    path("widget.js", widget, name="chat-widget"),
    path("<str:public_key>", page, name="chat-page"),
]
