"""Addresses of the dashboard."""

from __future__ import annotations

from django.urls import path

from psaltery.web import views

app_name = "web"

urlpatterns = [
    path("", views.dashboard, name="dashboard"),
    path("find/", views.find, name="find"),
]
