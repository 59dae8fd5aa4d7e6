"""The address that senders call, and its page."""

from django.urls import path

from psaltery.rmm import api, views

app_name = "rmm"

urlpatterns = [
    path("api/webhooks/rmm", api.alerts, name="alerts"),
    path("rmm/", views.index, name="index"),
    path("rmm/keys/", views.make_key, name="make_key"),
    path("rmm/keys/<int:number>/remove/", views.remove_key, name="remove_key"),
]
