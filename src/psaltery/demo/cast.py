"""The demo's customers: who they are, which office serves them, and what part they play."""

from dataclasses import dataclass
from enum import StrEnum

from psaltery.demo.names import ADELAIDE as ADELAIDE_NAMES
from psaltery.demo.names import AUCKLAND as AUCKLAND_NAMES
from psaltery.demo.names import SYDNEY as SYDNEY_NAMES
from psaltery.demo.offices import ADELAIDE, AUCKLAND, BRISBANE, SYDNEY, Office


class Part(StrEnum):
    """What makes a customer a case of its own."""

    REGULAR = "regular"
    NEWCOMER = "newcomer"  # not in the books yet: Psaltery makes the contact
    ARCHIVED = "archived"  # its contact is archived in the books
    TWINS = "twins"  # two contacts of its name in the books
    SAME_EMAIL = "same_email"  # another contact has its e-mail address
    BRITISH = "british"  # billed in a currency that the books don't have
    CALIFORNIAN = "californian"  # taxed by a code that nobody mapped
    BRISBANE = "brisbane"  # served by an office without books


@dataclass(frozen=True)
class Customer:
    """One customer. `office` decides currency and tax, `location` where its documents go."""

    name: str
    office: Office
    part: Part = Part.REGULAR
    place: str = ""

    @property
    def location(self) -> str:
        """The PSA's location that serves it."""
        return BRISBANE if self.part is Part.BRISBANE else self.office.name

    @property
    def city(self) -> str:
        """Where it is."""
        return self.place or self.location

    @property
    def slug(self) -> str:
        """Its name as part of an address."""
        plain = "".join(sign for sign in self.name.lower() if sign.isascii() and sign.isalnum())
        return plain.removesuffix("ptyltd").removesuffix("ltd")

    @property
    def email(self) -> str:
        """Where its invoices are sent."""
        # A reserved name: no mail of a demo can reach anybody.
        # https://www.rfc-editor.org/rfc/rfc2606
        return f"accounts@{self.slug}.example"


SPECIAL = (
    Customer("Gallery Nine Framing", SYDNEY, Part.NEWCOMER),
    Customer("Two Rivers Podiatry", SYDNEY, Part.NEWCOMER),
    Customer("Yarrow Street Bakery Pty Ltd", ADELAIDE, Part.NEWCOMER),
    Customer("Kowhai Early Learning", AUCKLAND, Part.NEWCOMER),
    Customer("Old Quay Chandlery Pty Ltd", SYDNEY, Part.ARCHIVED),
    Customer("Merriwa Freight", SYDNEY, Part.TWINS),
    Customer("Pohutukawa Physiotherapy", AUCKLAND, Part.SAME_EMAIL),
    Customer("Albion Wharf Trading Plc", SYDNEY, Part.BRITISH, "London"),
    Customer("Sausalito Design Inc", SYDNEY, Part.CALIFORNIAN, "Sausalito"),
    Customer("Moreton Bay Kayaks", SYDNEY, Part.BRISBANE),
    Customer("Kangaroo Point Dental", SYDNEY, Part.BRISBANE),
    Customer("Story Bridge Legal", SYDNEY, Part.BRISBANE),
)


def customers() -> tuple[Customer, ...]:
    """All sixty, in the order in which they came."""
    named = ((SYDNEY, SYDNEY_NAMES), (ADELAIDE, ADELAIDE_NAMES), (AUCKLAND, AUCKLAND_NAMES))
    regular = tuple(Customer(name, office) for office, names in named for name in names)
    return (*regular, *SPECIAL)
