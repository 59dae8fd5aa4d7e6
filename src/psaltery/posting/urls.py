"""Addresses of the document pages."""

from django.urls import path

from psaltery.posting import views

app_name = "posting"

urlpatterns = [
    path("documents/", views.index, name="index"),
    path("documents/figures/", views.figures, name="figures"),
    path("documents/lock/", views.forecast, name="forecast"),
    path("documents/rounding/", views.rounding, name="rounding"),
    path("documents/force/", views.force_many, name="force_many"),
    path("documents/<int:number>/", views.document, name="document"),
    path("documents/<int:number>/force/", views.force, name="force"),
    path("documents/<int:number>/skip/", views.skip, name="skip"),
    path("documents/<int:number>/unskip/", views.unskip, name="unskip"),
]
