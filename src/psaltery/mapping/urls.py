"""Addresses of the mapping pages."""

from django.urls import path

from psaltery.mapping import views

app_name = "mapping"

urlpatterns = [
    path("mapping/", views.index, name="index"),
    path("mapping/set/", views.set_keys, name="set"),
    path("mapping/remove/", views.remove_key, name="remove"),
    path("mapping/export/", views.export_mappings, name="export"),
    path("mapping/import/", views.import_mappings, name="import"),
    path("mapping/routes/", views.routes, name="routes"),
    path("mapping/routes/export/", views.export_routes, name="export_routes"),
    path("mapping/routes/import/", views.import_routes, name="import_routes"),
    path("mapping/contacts/", views.contacts, name="contacts"),
    path("mapping/contacts/<int:organisation>/<int:company>/", views.contact, name="contact"),
    path("mapping/contacts/<int:organisation>/<int:company>/unlink/", views.unlink, name="unlink"),
]
