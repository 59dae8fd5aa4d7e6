"""Addresses of the customer pages."""

from django.urls import path

from psaltery.hub import views

app_name = "hub"

urlpatterns = [
    path("customers/", views.index, name="index"),
    path("portfolio/", views.overview, name="overview"),
    path("customers/<int:number>/", views.customer, name="customer"),
    path("customers/<int:number>/billing/", views.billing, name="billing"),
    path("customers/<int:number>/timeline/", views.timeline, name="timeline"),
]
