"""How mirrored rows are stored: new ones, known ones, and ones that another process writes."""

import threading
import time

import psycopg
import pytest
from django.db import connection, transaction
from hypothesis import given
from hypothesis import strategies as st

from psaltery.connections.mirror import store
from psaltery.connections.models import Connection, Organisation
from psaltery.kit.bulk import ARRAY_OF_TEXTS, texts
from psaltery.ledger.models import LedgerTaxRate

KEY = ("organisation_id", "tax_type")
COLUMNS = (*KEY, "name", "rate", "active", "classes")


@pytest.fixture
def organisation(transactional_db) -> Organisation:
    books = Connection.objects.create(name="Books", kind="xero")
    return Organisation.objects.create(connection=books, external_id="1", name="Sydney")


def rates(organisation: Organisation, **names: str) -> list[tuple]:
    return [(organisation.pk, key, name, 10, True, "[]") for key, name in names.items()]


def stored(organisation: Organisation, **names: str) -> dict[str, bool]:
    with transaction.atomic():
        changed = store(LedgerTaxRate, KEY, COLUMNS, rates(organisation, **names))
    for change in changed:
        found = LedgerTaxRate.objects.get(pk=change.id)
        assert change.key == (found.organisation_id, found.tax_type)
    return {change.key[1]: change.inserted for change in changed}


def kept() -> dict[str, str]:
    return dict(LedgerTaxRate.objects.values_list("tax_type", "name"))


def test_new_rows_known_rows_and_both(organisation):
    assert stored(organisation, A="a", B="b") == {"A": True, "B": True}
    assert stored(organisation, A="a", B="b") == {}
    assert stored(organisation, A="changed", B="b", C="c") == {"A": False, "C": True}
    assert kept() == {"A": "changed", "B": "b", "C": "c"}


def test_another_organisation_has_its_own_rows(organisation):
    stored(organisation, A="a")
    other = Organisation.objects.create(
        connection=organisation.connection, external_id="2", name="Adelaide"
    )
    assert stored(other, A="a") == {"A": True}
    assert LedgerTaxRate.objects.count() == 2


def test_a_text_longer_than_its_column_is_cut(organisation):
    stored(organisation, A="x" * 1000, B="short")
    limit = LedgerTaxRate._meta.get_field("name").max_length
    assert kept() == {"A": "x" * (limit - 1) + "…", "B": "short"}


def test_a_row_that_another_process_writes_at_the_same_moment_is_replaced(organisation):
    """It is not there when we look, and is when we write: neither fails, ours is the later."""
    wins = threading.Event()

    def other() -> None:
        with psycopg.connect(**connection.get_connection_params() | {"context": None}) as session:
            session.execute(
                "INSERT INTO ledger_tax_rates (organisation_id, tax_type, name, rate, active, "
                "classes) VALUES (%s, 'A', 'theirs', 10, true, '[]')",
                (organisation.pk,),
            )
            wins.set()
            time.sleep(0.5)

    thread = threading.Thread(target=other)
    thread.start()
    wins.wait(10)
    assert stored(organisation, A="ours", B="b") == {"A": False, "B": True}
    thread.join()
    assert kept() == {"A": "ours", "B": "b"}


@given(st.lists(st.text(st.characters(exclude_characters="\0", codec="utf-8"))))
@pytest.mark.django_db
def test_an_array_of_texts_comes_back_as_it_was(values):
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {ARRAY_OF_TEXTS}", [texts(values)])
        assert cursor.fetchone()[0] == values
