"""Addresses that vendors call, and the pages about them."""

from django.urls import path

from psaltery.inbound import api

app_name = "inbound"

urlpatterns = [
    path("api/webhooks/xero", api.xero, name="xero"),
    path("api/callbacks/connectwise/<str:public_id>", api.connectwise, name="connectwise"),
]
