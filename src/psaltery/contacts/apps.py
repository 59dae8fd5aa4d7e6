"""The contacts slice: which contact of the books is which company of the PSA, for all at once."""

from django.apps import AppConfig


class ContactsConfig(AppConfig):
    name = "psaltery.contacts"
    label = "contacts"
