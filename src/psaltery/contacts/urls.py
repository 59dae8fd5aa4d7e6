"""Addresses of the pairing pages."""

from django.urls import path

from psaltery.contacts import views

app_name = "contacts"

urlpatterns = [
    path("mapping/contacts/pair/", views.index, name="index"),
    path("mapping/contacts/pair/again/", views.pair, name="pair"),
    path("mapping/contacts/pair/accept/", views.accept, name="accept"),
    path("mapping/contacts/pair/decisions/", views.decisions, name="decisions"),
    path("mapping/contacts/pair/<int:number>/", views.settle, name="settle"),
    path("mapping/contacts/pair/<int:number>/search/", views.search, name="search"),
    path("mapping/contacts/pair/decisions/<int:number>/undo/", views.undo, name="undo"),
    path("mapping/contacts/pair/links/<int:number>/split/", views.split, name="split"),
]
