from django.apps import AppConfig


class RmmConfig(AppConfig):
    name = "psaltery.rmm"
    label = "rmm"
    default_auto_field = "django.db.models.BigAutoField"
