"""Addresses of the tie-out."""

from django.urls import path

from psaltery.matching import views

app_name = "matching"

urlpatterns = [
    path("tie-out/", views.index, name="index"),
    path("tie-out/now/", views.run, name="run"),
    path("tie-out/<int:number>/", views.customers, name="customers"),
    path("payments-of-the-psa/", views.taken, name="taken"),
    path("tie-out/<int:number>/documents/", views.documents, name="documents"),
]
