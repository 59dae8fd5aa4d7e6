"""Whose a card about a connection is: everybody's whose organisation it stops."""

import pytest

from psaltery.adapters.errors import NeedsReconnect, Rejected
from psaltery.kit.clock import now
from psaltery.notify import queries
from psaltery.sync.failures import step_failed
from psaltery.testing.rig import Rig

pytestmark = pytest.mark.django_db(transaction=True)


def stopped_by(code: str) -> frozenset[int]:
    (found,) = [one for one in queries.cards_now(now()) if one.code == code]
    return found.stops


def test_a_refused_credential_is_of_all_that_it_opens(rig: Rig):
    refused = NeedsReconnect("The consent was withdrawn.", code="token_revoked")
    step_failed(rig.organisations[0], refused, "posting")
    assert stopped_by("token_revoked") == {one.pk for one in rig.organisations}


def test_the_psa_is_everybodys(rig: Rig):
    step_failed(rig.site, NeedsReconnect("Refused.", code="keys_refused"), "payments")
    assert stopped_by("keys_refused") == {rig.site.pk, *(one.pk for one in rig.organisations)}


def test_what_one_organisation_alone_is_refused_is_its_own(rig: Rig):
    step_failed(rig.organisations[0], Rejected([]), "posting")
    assert stopped_by("rejected") == frozenset()
