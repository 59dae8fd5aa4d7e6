"""Addresses of the exception pages."""

from django.urls import path

from psaltery.review import views

app_name = "review"

urlpatterns = [
    path("exceptions/", views.index, name="index"),
    path("exceptions/<int:number>/", views.card, name="card"),
    path("exceptions/<int:number>/repair/<slug:name>/", views.repair, name="repair"),
    path("exceptions/<int:number>/contacts/", views.contacts, name="contacts"),
    path("exceptions/<int:number>/snooze/", views.snooze, name="snooze"),
    path("exceptions/<int:number>/wake/", views.wake, name="wake"),
    path("exceptions/<int:number>/assign/", views.assign, name="assign"),
    path("exceptions/<int:number>/comment/", views.comment, name="comment"),
]
