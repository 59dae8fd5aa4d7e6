from django.apps import AppConfig


class SignalsConfig(AppConfig):
    name = "psaltery.signals"
    label = "signals"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        # Only now: models can't be imported while applications are being found.
        from psaltery.portfolio.succession import succeeded
        from psaltery.signals.succession import hand_over

        succeeded.connect(hand_over, dispatch_uid="signals")
