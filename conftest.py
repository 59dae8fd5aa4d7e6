"""Sets up the test run: a data folder and a database of its own. Fixtures: `psaltery.testing`."""

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).parent

# Before anything reads the environment: tests never see the settings of the person who runs them.
for name in [name for name in os.environ if name.startswith("PSALTERY_")]:
    if name != "PSALTERY_TEST_DATABASE_URL":
        del os.environ[name]
os.environ["PSALTERY_DATA"] = str(ROOT / ".data" / "tests")
if "PSALTERY_TEST_DATABASE_URL" in os.environ:
    os.environ["PSALTERY_DATABASE_URL"] = os.environ["PSALTERY_TEST_DATABASE_URL"]
os.environ["DJANGO_SETTINGS_MODULE"] = "psaltery.settings"

pytest_plugins = [
    "psaltery.testing.databases",
    "psaltery.testing.processes",
    "psaltery.testing.rigs",
]


def pytest_configure(config: pytest.Config) -> None:
    """Loads Django's settings, now that the environment is ours; pytest-django does the rest."""
    from django.conf import settings

    # Settings load on the first question, and pytest-django waits for that.
    assert settings.DATABASES
