"""The dashboard."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.cache import patch_vary_headers

from psaltery.accounts.access import may_view
from psaltery.web import finding
from psaltery.web.dashboard import dashboard_now


@may_view
def dashboard(request: HttpRequest) -> HttpResponse:
    """What waits for a person, what is in step, what runs; its live part alone for htmx."""
    live = request.headers.get("HX-Target") == "dashboard"
    template = "web/dashboard_live.html" if live else "web/dashboard.html"
    values = {"title": "Dashboard", "now": dashboard_now()}
    response = render(request, template, values)
    # One address gives the page or a part of it: caches must not mix them up.
    patch_vary_headers(response, ["HX-Request", "HX-Target"])
    return response


@may_view
def find(request: HttpRequest) -> HttpResponse:
    """Search over everything; what was found alone for htmx, a page without it."""
    text = request.GET.get("q", "")
    part = request.headers.get("HX-Request") == "true"
    values = {
        "title": "Search",
        "query": text.strip()[: finding.LONGEST],
        "groups": finding.find(request, text),
    }
    response = render(request, "web/parts/found.html" if part else "web/find.html", values)
    patch_vary_headers(response, ["HX-Request"])
    return response
