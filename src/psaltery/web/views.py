"""The dashboard."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.cache import patch_vary_headers

from psaltery.accounts.access import may_view
from psaltery.web.dashboard import dashboard_now


@may_view
def dashboard(request: HttpRequest) -> HttpResponse:
    """What waits for a person, what is in step, what runs; its live part alone for htmx."""
    live = request.headers.get("HX-Target") == "dashboard"
    template = "web/dashboard_live.html" if live else "web/dashboard.html"
    values = {"title": "Dashboard", "now": dashboard_now()}
    response = render(request, template, values)
    patch_vary_headers(response, ["HX-Request", "HX-Target"])
    return response
