"""What keys may become in an organisation: its suitable accounts, tax rates and options."""

from collections.abc import Callable, Sequence
from functools import cached_property

from psaltery.adapters.errors import BadSettings
from psaltery.connections.models import Organisation
from psaltery.ledger.models import LedgerAccount, LedgerTaxRate, LedgerTrackingOption
from psaltery.mapping.lookup import folded
from psaltery.mapping.service import (
    account_problem,
    payment_account_problem,
    purchase_account_problem,
)

WORDS = {
    "account": "account",
    "tax": "tax rate",
    "tracking": "tracking option",
    "purchase_account": "account",
    "purchase_tax": "tax rate",
    "payment": "account",
}


class Targets:
    """The targets of one list of an organisation; read once, in one query."""

    def __init__(self, organisation: Organisation, list_: str) -> None:
        self._organisation, self._list = organisation, list_

    @cached_property
    def _all(self) -> dict[str, tuple[str, str]]:
        """Target → how people see it, and what is wrong with it."""
        return _READERS[self._list](self._organisation)

    def choices(self) -> list[tuple[str, str]]:
        """The targets that may be used, with how people see them."""
        return [(target, label) for target, (label, wrong) in self._all.items() if not wrong]

    def label(self, target: str) -> str:
        """How people see a target; the bare target where the books no longer have it."""
        return self._all[target][0] if target in self._all else target

    def wrong(self, target: str) -> str:
        """What is wrong with a target, "" when it may be used."""
        if target in self._all:
            return self._all[target][1]
        return f"{self._organisation.name} no longer has it."

    def resolve(self, text: str) -> str:
        """The target that a person meant: as it is shown, its code, or its bare name.

        Raises BadSettings when that is none or more than one.
        """
        wanted = folded(text)
        word = WORDS[self._list]
        if not wanted:
            raise BadSettings(f"Choose the {word}.", which="target")
        # A code that is another account's name must not make both ambiguous.
        for reading in (_exact, _named):
            found = [
                target for target, (label, _) in self._all.items() if reading(target, label, wanted)
            ]
            if len(found) == 1:
                return found[0]
            if found:
                names = ", ".join(self.label(target) for target in found[:4])
                raise BadSettings(f"“{text}” may be {names}: choose one.", which="target")
        raise BadSettings(
            f"{self._organisation.name} has no {word} “{text}”. Choose one of the list.",
            which="target",
        )


def _exact(target: str, label: str, wanted: str) -> bool:
    return wanted in (folded(target), folded(label))


def _named(target: str, label: str, wanted: str) -> bool:
    """By the part of the label that is the name: “200 Sales”, “GST (10 %)”, “Region: East”."""
    names = (
        label.removeprefix(target).strip(),
        label.partition(" ")[0],
        label.partition(" ")[2],
        label.partition(" (")[0],
        label.partition(": ")[2],
    )
    return wanted in {folded(name) for name in names}


Read = dict[str, tuple[str, str]]


def _accounts(organisation: Organisation) -> Read:
    rows = LedgerAccount.objects.filter(organisation=organisation).exclude(code="")
    # Income first: nearly every line of an invoice goes there.
    ordered = sorted(rows, key=lambda row: (row.account_class != "REVENUE", row.code))
    return {row.code: (str(row), account_problem(row)) for row in ordered}


def _purchase_accounts(organisation: Organisation) -> Read:
    rows = LedgerAccount.objects.filter(organisation=organisation).exclude(code="")
    # Costs first: nearly every line of a bill goes there.
    ordered = sorted(rows, key=lambda row: (row.account_class != "EXPENSE", row.code))
    return {row.code: (str(row), purchase_account_problem(row)) for row in ordered}


def _payment_accounts(organisation: Organisation) -> Read:
    rows = LedgerAccount.objects.filter(organisation=organisation)
    # Banks first: nearly every payment goes there.
    ordered = sorted(rows, key=lambda row: (row.type != "BANK", row.code, row.name))
    return {row.external_id: (str(row), payment_account_problem(row)) for row in ordered}


def _tax_rates(organisation: Organisation) -> Read:
    rows: Sequence[LedgerTaxRate] = list(LedgerTaxRate.objects.filter(organisation=organisation))
    names = [str(row) for row in rows]
    return {
        row.tax_type: (
            # Two rates may have one name; their types tell them apart.
            str(row) if names.count(str(row)) == 1 else f"{row} {row.tax_type}",
            "" if row.active else f"{row.name} is archived in the books.",
        )
        for row in rows
    }


def _options(organisation: Organisation) -> Read:
    rows = LedgerTrackingOption.objects.filter(organisation=organisation)
    return {
        row.external_id: (str(row), "" if row.active else f"{row.name} is archived in the books.")
        for row in rows
    }


_READERS: dict[str, Callable[[Organisation], Read]] = {
    "account": _accounts,
    "tax": _tax_rates,
    "tracking": _options,
    "purchase_account": _purchase_accounts,
    "purchase_tax": _tax_rates,
    "payment": _payment_accounts,
}
