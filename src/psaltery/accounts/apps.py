from django.apps import AppConfig


class AccountsConfig(AppConfig):
    name = "psaltery.accounts"
    label = "accounts"
    default_auto_field = "django.db.models.BigAutoField"
