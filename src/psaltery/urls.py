"""Every address of the product: the only list of routes."""

from django.urls import URLPattern, URLResolver, path

from psaltery import health

urlpatterns: list[URLPattern | URLResolver] = [
    path("healthz", health.alive, name="alive"),
    path("readyz", health.ready, name="ready"),
]
