"""Addresses of static files that change with their content, so that browsers may keep them."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from pathlib import Path

from django.contrib.staticfiles import finders
from django.contrib.staticfiles.storage import StaticFilesStorage


@lru_cache(maxsize=512)
def _version(path: str) -> str:
    # By content, not by time: two machines behind one address must agree.
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()[:10]


class VersionedFiles(StaticFilesStorage):
    """Adds `?v=…` to each address: files are served from their packages, not collected first."""

    def url(self, name: str | None, force: bool = False) -> str:
        """The address of a static file; one that is missing keeps a bare address and gives 404."""
        address = super().url(name)
        found = finders.find(name or "")
        return f"{address}?v={_version(found)}" if isinstance(found, str) else address
