"""Addresses of the settings of an organisation, and of the calls it makes."""

from django.urls import path

from psaltery.sync import views

app_name = "sync"

urlpatterns = [
    path("items/", views.items, name="items"),
    path("items/choose/", views.choose_item, name="choose_item"),
    path("organisations/<int:number>/settings/", views.organisation, name="organisation"),
    path("organisations/<int:number>/read/<str:name>/", views.read_feed, name="read_feed"),
    path("organisations/<int:number>/pause/", views.pause, name="pause"),
    path("calls/", views.calls_index, name="calls_index"),
    path("calls/<int:number>/", views.calls_of, name="calls"),
    path("calls/<int:number>/count/", views.count_records, name="count_records"),
    path("calls/<int:number>/read/", views.read_everything, name="read_everything"),
    path("calls/<int:number>/backfill/", views.backfill_progress, name="backfill"),
    path("calls/<int:number>/pause/", views.pause_backfill, name="pause_backfill"),
    path("calls/<int:number>/cancel/", views.cancel_backfill, name="cancel_backfill"),
]
