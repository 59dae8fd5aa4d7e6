"""The offices of the demo's MSP, and what their bookkeepers decided."""

from dataclasses import dataclass

MSP = "Harbourline IT"


@dataclass(frozen=True)
class Office:
    """One office: a location in the PSA and an organisation in the books."""

    name: str
    currency: str
    country: str
    zone: str
    taxed: str
    untaxed: str
    taxed_in_books: str
    untaxed_in_books: str
    region: str
    phone: str
    # What its documents become in the books.
    status: str = "authorised"

    @property
    def organisation(self) -> str:
        """Its name in the books."""
        return f"{MSP} ({self.name})"


SYDNEY = Office(
    "Sydney", "AUD", "AU", "AUSEASTERNSTANDARDTIME", "GST", "GST-FREE", "OUTPUT",
    "EXEMPTOUTPUT", "East", "+61 2 5550",
)  # fmt: skip
# Its bookkeeper wants to see each invoice before it goes out.
ADELAIDE = Office(
    "Adelaide", "AUD", "AU", "CENAUSTRALIASTANDARDTIME", "GST", "GST-FREE", "OUTPUT",
    "EXEMPTOUTPUT", "South", "+61 8 5550", status="submitted",
)  # fmt: skip
AUCKLAND = Office(
    "Auckland", "NZD", "NZ", "NEWZEALANDSTANDARDTIME", "NZGST", "NZ-ZERO", "OUTPUT2",
    "ZERORATED", "North", "+64 9 555",
)  # fmt: skip
OFFICES = (SYDNEY, ADELAIDE, AUCKLAND)
# Opened last month; nobody has set up its books yet.
BRISBANE = "Brisbane"
# Formed last month; nobody has given it a tracking option yet.
NEW_DEPARTMENT = "Cyber Security"
NEW_CATEGORY = "Surveillance"
# A rate that New Zealand gave up in 2010, left in the PSA's list.
OLD_TAX = "NZGST-OLD"

# Account by (kind of key, key): what each organisation maps. There is no "everything else".
ACCOUNTS = {
    ("category", "Hardware"): "230",
    ("category", "Software"): "240",
    ("category", "Cloud"): "240",
    ("category", "Services"): "220",
    ("work_type", "Travel"): "250",
    ("agreement_type", "Managed Services"): "210",
    ("agreement_type", "Cloud Subscription"): "240",
    ("agreement_type", "Backup"): "210",
    ("agreement_type", "Block Hours"): "220",
    ("expense_type", "Accommodation"): "260",
    ("expense_type", "Parts"): "230",
    ("source", "time"): "220",
    ("source", "agreement"): "210",
    ("source", "expense"): "250",
    ("source", "adjustment"): "200",
    ("source", "document"): "200",
}
# The office whose bookkeeper lets purchases come over, as drafts; the others enter them by hand.
BUYER = AUCKLAND
PURCHASES = {("source", "product"): "310", ("source", "freight"): "310"}
PURCHASE_TAXES = {("tax_code", "NZGST"): "INPUT2", ("exempt", ""): "NONE"}
# The office with a counter: its people take card payments in the PSA, and its products are items of
# the books, so that its bookkeeper sees what was sold.
TILL = SYDNEY
# Somebody thought that recovered mileage belongs on the cost account it came from.
OWN_ACCOUNTS = {"Auckland": {("expense_type", "Mileage"): "493"}}
# Archived in Sydney's books after it was mapped.
ARCHIVED_ACCOUNT = "260"
DEPARTMENTS = {
    "Managed Services": "Service Desk",
    "Professional Services": "Projects",
    "Procurement": "Hardware",
    "Cloud": "Cloud",
}
