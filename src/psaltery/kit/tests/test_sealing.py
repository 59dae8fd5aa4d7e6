"""Sealed values: they open in their place only, and keys rotate."""

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from psaltery.kit.sealing import KeyRing, Place, SealBroken

OLD, NEW = os.urandom(32), os.urandom(32)
PLACE = Place("connections", "7", "secrets")


@given(st.text())
def test_what_is_sealed_opens(secret):
    ring = KeyRing({"k1": OLD})
    assert ring.open(ring.seal(secret, PLACE), PLACE) == secret


def test_a_value_does_not_open_in_another_row_table_or_column():
    ring = KeyRing({"k1": OLD})
    sealed = ring.seal("secret", PLACE)
    for place in (
        Place("connections", "8", "secrets"),
        Place("tokens", "7", "secrets"),
        Place("connections", "7", "refresh"),
    ):
        with pytest.raises(SealBroken):
            ring.open(sealed, place)


def test_a_changed_value_does_not_open():
    ring = KeyRing({"k1": OLD})
    sealed = ring.seal("secret", PLACE)
    for broken in (sealed[:-4] + "AAAA", "v1:k2:" + sealed.split(":")[2], "plain", "v1:k1:AA=="):
        with pytest.raises(SealBroken):
            ring.open(broken, PLACE)


def test_keys_rotate():
    sealed = KeyRing({"k1": OLD}).seal("secret", PLACE)
    both = KeyRing({"k2": NEW, "k1": OLD})
    assert not both.is_current(sealed)
    fresh = both.reseal(sealed, PLACE)
    assert both.is_current(fresh)
    assert both.reseal(fresh, PLACE) == fresh
    assert KeyRing({"k2": NEW}).open(fresh, PLACE) == "secret"
    with pytest.raises(SealBroken, match="k1"):
        KeyRing({"k2": NEW}).open(sealed, PLACE)


@pytest.mark.parametrize("keys", [{}, {"k1": b"short"}, {"a:b": OLD}, {"": OLD}])
def test_unusable_keys_are_refused(keys):
    with pytest.raises(ValueError, match="key"):
        KeyRing(keys)
