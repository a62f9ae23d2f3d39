"""Every address of threadhub."""

from django.contrib import admin
from django.urls import URLPattern, URLResolver, include, path
from django.views.decorators.csrf import csrf_exempt
from django.views.generic import RedirectView
from drf_spectacular.views import SpectacularJSONAPIView, SpectacularSwaggerSplitView

from threadhub.views import health

READ = ["get", "head"]

urlpatterns: list[URLPattern | URLResolver] = [
    path("", include("threadhub.api.rest.urls")),
    path("api/", include("threadhub.api.ai.urls")),
    path("openapi.json", SpectacularJSONAPIView.as_view(http_method_names=READ), name="openapi"),
    path("docs", SpectacularSwaggerSplitView.as_view(url_name="openapi", http_method_names=READ), name="docs"),
    path("", csrf_exempt(RedirectView.as_view(url="/docs", http_method_names=READ))),
    path("health", health, name="health"),
    path("chat/", include("threadhub.chat.urls")),
    path("admin/", admin.site.urls),
]
