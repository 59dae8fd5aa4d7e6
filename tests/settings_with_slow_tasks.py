"""Psaltery's settings and the tasks of the tests, for worker processes that tests start."""

from psaltery.settings import *  # noqa: F403
from psaltery.settings import PROCRASTINATE_IMPORT_PATHS as REAL

PROCRASTINATE_IMPORT_PATHS = [*REAL, "slow_tasks"]
