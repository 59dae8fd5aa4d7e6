"""The icons that pages may use, by their Tabler names; the build cuts them into one sprite.

An icon that is not in icons.txt can't be drawn: `{% icon %}` refuses it, so that a forgotten name
is found by the first test that renders the page. To use another, add its line and build the assets.
"""

from __future__ import annotations

from pathlib import Path

NAMES = Path(__file__).with_name("icons.txt")
ICONS = frozenset(NAMES.read_text().split())
