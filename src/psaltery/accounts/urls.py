"""Addresses of the people's pages, and of sign-in, which django-allauth serves."""

from __future__ import annotations

from django.urls import URLPattern, URLResolver, include, path

from psaltery.accounts import views

app_name = "accounts"

urlpatterns = [
    path("set-up/", views.set_up, name="set_up"),
    path("theme/", views.theme, name="theme"),
    path("profile/", views.profile, name="profile"),
    path("settings/", views.settings, name="settings"),
    path("settings/people/", views.people, name="people"),
    path("settings/people/add/", views.add_person, name="add_person"),
    path("settings/people/<int:number>/", views.person, name="person"),
    path("settings/people/<int:number>/link/", views.new_link, name="new_link"),
    path("settings/tokens/", views.tokens, name="tokens"),
    path("settings/tokens/add/", views.add_token, name="add_token"),
    path("settings/tokens/<int:number>/", views.token, name="token"),
    path("settings/tokens/<int:number>/revoke/", views.revoke_token, name="revoke_token"),
]

# Included beside this list, outside its namespace: allauth looks its own names up bare.
sign_in_urls: list[URLPattern | URLResolver] = [
    path("login/", views.sign_in, name="account_login"),
    # Addresses are changed by administrators: the library's own page for it is not served.
    path("email/", views.not_served),
    path("", include("allauth.urls")),
]
