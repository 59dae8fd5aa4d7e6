"""Fixtures of this adapter, decoded as the client decodes them."""

from pathlib import Path
from typing import TypeVar

import msgspec

T = TypeVar("T")
FOLDER = Path(__file__).parent.parent / "fixtures"


def fixture(name: str, type_: type[T]) -> T:
    return msgspec.json.decode((FOLDER / f"{name}.json").read_bytes(), type=type_)
