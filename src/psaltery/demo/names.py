"""Names of the demo's people and places. None is a real firm."""

# Customers of each office, in order; the story gives some of them a part (see cast.py).
SYDNEY = (
    "Wattle Grove Dental", "Corella Architects Pty Ltd", "Bluegum Freight Pty Ltd",
    "Marlowe & Finch Lawyers", "Saltbush Brewing Co", "Parramore Surveyors Pty Ltd",
    "Kestrel Point Vets", "Harrow Lane Studios", "Coral Tree Childcare", "Ninefold Accounting",
    "Stonefruit Foods Pty Ltd", "Lantern Bay Hotels", "Cobalt Signage Pty Ltd",
    "Figtree Physiotherapy", "Quillon Engineering Pty Ltd", "Mosman Reach Property",
    "Tidewrack Films", "Boronia Street Medical", "Anvil Road Motors Pty Ltd",
    "Pemberly Conveyancing", "Orchard Hill School", "Driftline Logistics Pty Ltd",
)  # fmt: skip
ADELAIDE = (
    "Torrens Edge Wines", "Mallee Grain Traders Pty Ltd", "Gawler Range Timber",
    "Halyard Marine Services", "Redgum Radiology Pty Ltd", "Fleurieu Glasshouse",
    "Barossa Lane Catering", "Ironstone Fabrication Pty Ltd", "Pelican Quay Insurance",
    "Copperfield Theatre", "Oleander Aged Care", "Sandpiper Solar Pty Ltd",
    "Clover Creek Dairy",
)  # fmt: skip
AUCKLAND = (
    "Kauri Bay Builders Ltd", "Tui Lane Optics", "Rangitoto Coffee Roasters Ltd",
    "Whau River Plastics Ltd", "Piha Surf Schools", "Karaka Legal", "Southern Cross Joinery Ltd",
    "Titirangi Pottery Supply", "Manukau Cold Storage Ltd", "Fernleaf Recruitment",
    "Harbour Bridge Cycles", "Matai Forestry Advice Ltd", "Remuera Garden Design",
)  # fmt: skip

GIVEN = (
    "Ava", "Ben", "Chloe", "Dan", "Elena", "Finn", "Grace", "Hugo", "Isla", "Jack", "Kiri",
    "Liam", "Mia", "Noah", "Olive", "Priya", "Rangi", "Sofia", "Tomás", "Wen",
)  # fmt: skip
FAMILY = (
    "Nguyen", "Hartley", "Patel", "Walker", "Brown", "Tamihana", "Rossi", "Kelly", "Singh",
    "Costa", "Young", "Park", "O’Shea", "Müller", "Ngata", "Lindqvist",
)  # fmt: skip
STREETS = (
    "Wharf Road", "Station Street", "King Street", "Jetty Road", "Queens Parade", "Mill Lane",
    "Victoria Road", "Beach Road", "Market Street", "Railway Terrace",
)  # fmt: skip
VENDORS = ("Northgate Distribution", "Tasman Components", "Pacific Licensing")

TICKETS = (
    "Printer on level 2 prints blank pages", "New starter on Monday: laptop and accounts",
    "Mailbox over quota", "VPN drops every hour", "Laptop does not wake from sleep",
    "Password reset for the front desk", "Backup of the file server failed",
    "Wi-Fi slow in the meeting room", "Teams calls have no sound", "Suspicious e-mail reported",
    "Scanner can’t reach the shared folder", "Certificate of the web site expires",
    "Accounts package can’t open last year", "Second monitor not detected",
    "Leaver on Friday: keep mailbox for 90 days", "Phone system: add extension",
    "Shared calendar missing", "Disk of the reception PC is full",
)  # fmt: skip
# What monitoring watches, and what it says.
DEVICES = ("NAS", "SRV", "FW", "SW", "UPS", "LT", "WS")
WATCHED = (
    "Disk has less than 5 % free", "No backup for 36 hours", "Offline for 15 minutes",
    "CPU above 95 % for 20 minutes", "Antivirus signatures are 9 days old",
    "Battery needs to be replaced", "Restart pending after updates", "Fan failed",
    "Sign-in refused 40 times in 5 minutes", "Certificate expires in 7 days",
)  # fmt: skip
WORK_NOTES = (
    "Investigated and resolved", "Replaced the cable and tested", "Rebuilt the user profile",
    "Renewed the licence and checked sign-in", "Moved the mailbox, checked with the user",
    "Patched the firewall after hours", "On site: relocated two desks", "Restored from backup",
    "Prepared and handed over the laptop", "Reviewed the alerts with the vendor",
)  # fmt: skip
