"""Every address of threadhub."""

from django.contrib import admin
from django.urls import URLPattern, URLResolver, include, path
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerView

from threadhub.views import health

urlpatterns: list[URLPattern | URLResolver] = [
    path("", include("threadhub.api.rest.urls")),
    path("api/", include("threadhub.api.ai.urls")),
    path("openapi.json", SpectacularAPIView.as_view(), name="openapi"),
    path("docs", SpectacularSwaggerView.as_view(url_name="openapi"), name="docs"),
    path("health", health, name="health"),
    path("admin/", admin.site.urls),
]
