"""The fixture `rig`. Apart from the rig itself, which needs Django to be set up when imported."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from psaltery.testing.rig import Rig


@pytest.fixture
def rig(transactional_db: None, settings: Any) -> Iterator["Rig"]:
    """Three organisations and a site with some companies; connected, read and mapped."""
    from psaltery.testing.rig import make_rig

    made = make_rig(settings)
    try:
        yield made
    finally:
        made.close()
