"""Every code and every repair is documented, and every repair that is offered exists."""

import runpy
from pathlib import Path

import pytest

from psaltery.review.catalogue import CATALOGUE
from psaltery.sync.repairs import REPAIRS

ROOT = Path(__file__).parents[4]
# These lead to a page instead of doing something themselves.
LINKS = {"reconnect", "set_policy", "choose_item"}


def test_the_page_of_errors_is_what_the_catalogue_says():
    render = runpy.run_path(str(ROOT / "scripts" / "error_page"))["render"]
    page = (ROOT / "docs" / "errors" / "README.md").read_text()
    assert page == render(), "Run .venv/bin/python scripts/error_page"


@pytest.mark.parametrize("code", CATALOGUE)
def test_every_entry_says_what_to_do_and_offers_what_exists(code):
    entry = CATALOGUE[code]
    assert entry.title
    assert not entry.title.endswith(".")
    assert entry.advice.endswith(".")
    assert set(entry.repairs) <= set(REPAIRS) | LINKS
