"""The product as a whole, as Django sees it: its checks of the settings."""

from collections.abc import Iterator
from typing import Any

from django.apps import AppConfig
from django.core.checks import CheckMessage, Error, register


class PsalteryConfig(AppConfig):
    """Registers the checks of settings, so that every Django command says what is wrong."""

    name = "psaltery"
    label = "psaltery"

    def ready(self) -> None:
        """Called once, when every slice is loaded."""
        register(settings_are_right, "psaltery")


def settings_are_right(**_: Any) -> list[CheckMessage]:
    """The problems among the findings on settings, keys and address."""
    return list(_errors())


def _errors() -> Iterator[CheckMessage]:
    from psaltery import installation
    from psaltery.environment import environment

    env = environment()
    looks = (installation.settings, installation.folder, installation.public_address)
    for number, look in enumerate(looks, start=1):
        for found in look(env):
            if found.level == "problem":
                yield Error(found.text, hint=found.remedy, id=f"psaltery.E{number:03}")
