"""Addresses of the connection pages."""

from django.urls import path

from psaltery.connections import views

app_name = "connections"

urlpatterns = [
    path("connections/", views.index, name="index"),
    path("connections/add/", views.choose_kind, name="choose_kind"),
    path("connections/add/<slug:kind>/", views.add, name="add"),
    path("connections/check/<slug:kind>/", views.check, name="check"),
    # Registered with the vendors' apps to the last character: see consent.callback_address.
    path("connections/callback", views.callback, name="callback"),
    path("connections/<int:number>/", views.detail, name="detail"),
    path("connections/<int:number>/edit/", views.edit, name="edit"),
    path("connections/<int:number>/begin/", views.begin, name="begin"),
    path("connections/<int:number>/allow-writing/", views.allow_writing, name="allow_writing"),
    path("connections/<int:number>/test/", views.examine, name="examine"),
    path("connections/<int:number>/organisations/", views.organisations, name="organisations"),
    path("connections/<int:number>/refresh/", views.refresh, name="refresh"),
    path("connections/<int:number>/disconnect/", views.disconnect, name="disconnect"),
    path("connections/organisations/<int:number>/pause/", views.pause, name="pause"),
]
