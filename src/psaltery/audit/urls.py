"""Addresses of the audit log."""

from django.urls import path

from psaltery.audit import views

app_name = "audit"

urlpatterns = [
    path("audit/", views.index, name="index"),
    path("audit/entries.json", views.as_json, name="json"),
    path("audit/<int:number>/", views.entry, name="entry"),
]
