"""Addresses of the notification pages."""

from django.urls import path

from psaltery.notify import views

app_name = "notify"

_HERE = "settings/notifications/"

urlpatterns = [
    path(_HERE, views.index, name="index"),
    path(f"{_HERE}channels/add/", views.add_channel, name="add_channel"),
    path(f"{_HERE}channels/<int:number>/", views.channel, name="channel"),
    path(f"{_HERE}channels/<int:number>/remove/", views.remove_channel, name="remove_channel"),
    path(f"{_HERE}recipients/<int:number>/test/", views.test, name="test"),
    path(f"{_HERE}recipients/<int:number>/pause/", views.pause, name="pause"),
    path(f"{_HERE}recipients/<int:number>/rules/add/", views.add_rule, name="add_rule"),
    path(f"{_HERE}rules/<int:number>/", views.rule, name="rule"),
    path(f"{_HERE}rules/<int:number>/remove/", views.remove_rule, name="remove_rule"),
    path(f"{_HERE}messages/", views.messages_sent, name="messages"),
    path(f"{_HERE}messages/<int:number>/", views.message, name="message"),
    path(f"{_HERE}messages/<int:number>/again/", views.send_again, name="send_again"),
]
