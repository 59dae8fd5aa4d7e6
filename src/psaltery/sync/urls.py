"""Addresses of the settings of an organisation."""

from django.urls import path

from psaltery.sync import views

app_name = "sync"

urlpatterns = [
    path("organisations/<int:number>/settings/", views.organisation, name="organisation"),
    path("organisations/<int:number>/pause/", views.pause, name="pause"),
]
