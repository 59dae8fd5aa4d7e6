"""Every address of the product: the only list of routes."""

from django.urls import URLPattern, URLResolver, include, path

from psaltery import health
from psaltery.accounts.urls import sign_in_urls

urlpatterns: list[URLPattern | URLResolver] = [
    path("healthz", health.alive, name="alive"),
    path("readyz", health.ready, name="ready"),
    path("", include("psaltery.web.urls")),
    path("", include("psaltery.accounts.urls")),
    path("", include("psaltery.connections.urls")),
    path("", include("psaltery.inbound.urls")),
    path("", include("psaltery.sync.urls")),
    path("", include("psaltery.posting.urls")),
    path("", include("psaltery.review.urls")),
    path("", include("psaltery.notify.urls")),
    path("", include("psaltery.contacts.urls")),
    path("", include("psaltery.mapping.urls")),
    path("", include("psaltery.matching.urls")),
    path("", include("psaltery.hub.urls")),
    path("", include("psaltery.signals.urls")),
    path("", include("psaltery.rmm.urls")),
    path("", include("psaltery.ledger.urls")),
    path("", include("psaltery.audit.urls")),
    path("accounts/", include(sign_in_urls)),
]
