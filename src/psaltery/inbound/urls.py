"""Addresses that vendors call, and the pages about them."""

from django.urls import path

from psaltery.inbound import api, views

app_name = "inbound"

urlpatterns = [
    path("api/webhooks/xero", api.xero, name="xero"),
    path("api/callbacks/connectwise/<str:public_id>", api.connectwise, name="connectwise"),
    path("connections/<int:number>/webhooks/", views.page, name="page"),
    path("connections/<int:number>/webhooks/keys/", views.add_key, name="add_key"),
    path(
        "connections/<int:number>/webhooks/keys/<int:key>/remove/",
        views.remove_key,
        name="remove_key",
    ),
    path("connections/<int:number>/webhooks/real-time/", views.switch, name="switch"),
    path("connections/<int:number>/webhooks/test/", views.test, name="test"),
    path("connections/<int:number>/webhooks/replay/", views.replay, name="replay"),
]
