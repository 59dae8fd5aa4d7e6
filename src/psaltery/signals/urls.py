"""Addresses of the alert pages."""

from django.urls import path

from psaltery.signals import views

app_name = "signals"

urlpatterns = [
    path("alerts/", views.index, name="index"),
    path("alerts/<int:number>/", views.alert, name="alert"),
    path("alerts/<int:number>/<slug:verb>/", views.act, name="act"),
    path("alerts/look/", views.look, name="look"),
    path("alerts/limits/", views.limits, name="limits"),
    path("renewals/", views.renewals, name="renewals"),
    path("renewals/<int:number>/", views.renewal, name="renewal"),
]
