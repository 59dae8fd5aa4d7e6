from django.apps import AppConfig


class ConnectionsConfig(AppConfig):
    name = "psaltery.connections"
    label = "connections"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Makes the lookup `among` known."""
        from psaltery.connections import lookups

        assert lookups
