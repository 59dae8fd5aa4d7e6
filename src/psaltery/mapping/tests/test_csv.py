"""CSV out and in: what is written is read back, and each wrong row says what is wrong with it."""

import pytest

from psaltery.adapters.errors import BadSettings
from psaltery.mapping import csv_io
from psaltery.mapping.models import Mapping, Route
from psaltery.mapping.service import add_route, set_mapping

pytestmark = pytest.mark.django_db(transaction=True)
HEAD = "organisation,list,key_kind,key,target\n"


def check(world, *lines, head=HEAD):
    return csv_io.check_mappings(head + "\n".join(lines), [world.sydney, world.auckland])


def test_what_is_exported_is_read_back_as_it_is(world):
    set_mapping(world.sydney, "account", "category", "=HYPERLINK(1)", "230")
    set_mapping(world.sydney, "tax", "exempt", "", "EXEMPTOUTPUT")
    set_mapping(
        world.sydney, "tracking", "location", "Sydney, CBD", world.option(world.sydney, "East")
    )
    text = csv_io.mappings_csv([world.sydney])
    assert "'=HYPERLINK(1)" in text
    assert "Region: East" in text
    report = csv_io.check_mappings(text, [world.sydney])
    assert [row.effect for row in report.rows] == ["same"] * 3
    assert report.changing == 0


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ("Perth,account,any,,200", "no organisation “Perth”"),
        ("Sydney,colour,any,,200", "no list “colour”"),
        ("Sydney,account,flavour,x,200", "“flavour” is not one of"),
        ("Sydney,account,category,,200", "value to map is missing"),
        ("Sydney,account,category,Hardware,999", "no account “999”"),
        ("Sydney,account,category,Hardware,", "Choose the account"),
        ("Sydney,account,category,Hardware,260", "archived"),
        ("Sydney,account,category,Hardware,610", "can't be used on a line"),
        ("Sydney,tax,tax_code,GST,VAT", "no tax rate “VAT”"),
        ("Sydney,tracking,location,Sydney,North", "no tracking option “North”"),
    ],
)
def test_a_wrong_row_says_what_is_wrong(world, row, words):
    report = check(world, "Sydney,account,any,,200", row)
    assert [one.line for one in report.bad] == [3]
    assert words in report.bad[0].problem
    assert len(report.good) == 1


def test_targets_are_read_as_people_write_them(world):
    report = check(
        world,
        "sydney,Account,category,Hardware,Hardware Sales",
        "sydney,account,any,,200 Sales",
        "sydney,tax,tax_code,GST,GST on Income",
        "sydney,tracking,location,Sydney,Region: East",
        "auckland,tracking,location,Sydney,west",
    )
    assert [row.problem for row in report.rows] == [""] * 5
    csv_io.save_mappings(report.good)
    assert Mapping.objects.get(key="Hardware").target == "230"
    assert Mapping.objects.get(list="tax").target == "OUTPUT"
    assert Mapping.objects.filter(list="tracking").count() == 2


def test_the_same_key_twice_is_refused_at_the_second(world):
    report = check(world, "Sydney,account,category,A,200", "Sydney,account,category,a ,230")
    assert report.bad[0].problem == "Line 2 maps the same."


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_files_of_spreadsheets_are_read(world, separator):
    head = HEAD.replace(",", separator)
    row = separator.join(["Sydney", "account", "category", "Büro", "200", "further"])
    data = ("\ufeff" + head + row + "\n\n").encode()
    report = csv_io.check_mappings(csv_io.decoded(data), [world.sydney])
    assert report.good[0].key == "Büro"
    latin = csv_io.check_mappings(csv_io.decoded((head + row).encode("cp1252")), [world.sydney])
    assert latin.good[0].key == "Büro"


def test_a_file_that_is_none_is_refused(world):
    with pytest.raises(BadSettings, match="key_kind, key, target is missing"):
        check(world, "x", head="organisation,list\n")
    with pytest.raises(BadSettings, match="2 MB"):
        csv_io.decoded(b"x" * 2_000_001)


def test_all_of_a_report_is_saved_or_nothing(world):
    report = check(world, "Sydney,account,category,A,200", "Sydney,account,category,B,230")
    world.sydney.refresh_from_db()
    from psaltery.ledger.models import LedgerAccount

    LedgerAccount.objects.filter(organisation=world.sydney, code="230").update(active=False)
    with pytest.raises(BadSettings):
        csv_io.save_mappings(report.good)
    assert not Mapping.objects.exists()


def routes(world, *lines):
    text = "field,value,organisation\n" + "\n".join(lines)
    return csv_io.check_routes(text, world.psa, [world.sydney, world.auckland])


def test_routes_take_the_place_of_the_old_ones_in_order(world):
    add_route(world.psa, "location", "Perth", world.sydney)
    kept = add_route(world.psa, "location", "Auckland", world.auckland)
    report = routes(world, "Company,Acme,Sydney", "location,auckland,Auckland", "any,,Sydney")
    assert [row.effect for row in report.rows] == ["new", "same", "new"]
    csv_io.replace_routes(world.psa, report.good)
    rows = list(Route.objects.values_list("field", "value", "organisation__name"))
    assert rows == [("company", "Acme", "Sydney"), ("location", "Auckland", "Auckland"),
                    ("any", "", "Sydney")]  # fmt: skip
    assert Route.objects.get(value="Auckland").pk == kept.pk
    again = csv_io.check_routes(
        csv_io.routes_csv(world.psa), world.psa, [world.sydney, world.auckland]
    )
    assert again.changing == 0


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (["planet,Mars,Sydney"], "no field “planet”"),
        (["location,,Sydney"], "value is missing"),
        (["location,Perth,Nowhere"], "no organisation “Nowhere”"),
        (["location,A,Sydney", "location,a,Auckland"], "Line 2 has a rule for the same value"),
        (["any,,Sydney", "location,A,Sydney"], "Never reached"),
    ],
)
def test_a_wrong_rule_says_what_is_wrong(world, lines, words):
    assert words in routes(world, *lines).bad[-1].problem
