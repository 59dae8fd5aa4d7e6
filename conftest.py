"""Sets up the test run: a data folder and a database of its own. Fixtures: `psaltery.testing`."""

import os
from collections import Counter
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from xdist.remote import Producer
    from xdist.scheduler import LoadFileScheduling

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


# What a test needs that takes longer than itself: seconds, about.
_COSTS = {"rig": 5, "psaltery_process": 20, "installation": 90, "page": 3, "transactional_db": 1}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest files first: none of them is left alone at the end of a run."""
    length: Counter[Path] = Counter()
    for item in items:
        needs = getattr(item, "fixturenames", ())
        length[item.path] += 1 + sum(cost for name, cost in _COSTS.items() if name in needs)
        # Who asks for more time than the others needs it.
        patience = item.get_closest_marker("timeout")
        length[item.path] += patience.args[0] // 10 if patience and patience.args[0] > 300 else 0
    items.sort(key=lambda item: (not _kills(item.path), -length[item.path], item.path))


@cache
def _kills(path: Path) -> bool:
    """Whether tests of the file kill processes and measure how long it takes to go on."""
    return "pytest.mark.crash" in path.read_text()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(
    config: pytest.Config, log: "Producer"
) -> "LoadFileScheduling | None":
    """By file; those that kill processes one after the other, so that none disturbs another."""
    from xdist.scheduler import LoadFileScheduling

    if config.getvalue("dist") != "loadfile":
        return None
    config.option.loadscopereorder = False  # the order is ours

    class Lanes(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            file: str = super()._split_scope(nodeid)
            return "crashes" if _kills(ROOT / file) else file

    return Lanes(config, log)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """One more than there are processors: tests that kill processes wait more than they work."""
    return len(os.sched_getaffinity(0)) + 1
