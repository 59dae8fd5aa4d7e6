from django.apps import AppConfig


class ReviewConfig(AppConfig):
    name = "psaltery.review"
    label = "review"
    default_auto_field = "django.db.models.BigAutoField"
